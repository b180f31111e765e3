#include "fastkv/chat_file.h"

#include <utility>

#include "base/limits.h"
#include "io/json.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

Result<ChatMessage> ParseMessage(const Json& json, const std::string& context) {
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, context));
  ChatMessage message;
  FASTKV_ASSIGN_OR_RETURN(message.role, fields.String("role"));
  FASTKV_ASSIGN_OR_RETURN(message.content, fields.String("content"));
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    return FormatError(context + ": expected the role system, user or assistant, got " +
                       Quoted(message.role));
  }
  return message;
}

}  // namespace

Status SaveMessages(FileSystem& files, const std::string& path,
                    const std::vector<ChatMessage>& messages) {
  Json json = Json::array();
  for (const ChatMessage& message : messages) {
    json.push_back({{"role", message.role}, {"content", message.content}});
  }
  return files.WriteFile(path, DumpJson(json) + "\n");
}

Result<std::vector<ChatMessage>> LoadMessages(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(files, path, limits::kMaxPromptFileBytes));
  if (!json.is_array()) {
    return FormatError(path + ": expected a JSON array of messages, got " + json.type_name());
  }
  std::vector<ChatMessage> messages;
  for (size_t i = 0; i < json.size(); ++i) {
    FASTKV_ASSIGN_OR_RETURN(ChatMessage message,
                            ParseMessage(json[i], path + ": message " + std::to_string(i)));
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace fastkv
