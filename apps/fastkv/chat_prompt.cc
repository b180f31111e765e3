#include "fastkv/chat_prompt.h"

#include "fastkv/chat_template.h"

namespace fastkv {

Result<std::vector<int32_t>> EncodeChatPrompt(const Engine& engine, const Tokenizer& tokenizer,
                                              const std::string& system, const std::string& user) {
  FASTKV_ASSIGN_OR_RETURN(const ChatTemplate chat,
                          ChatTemplate::Load(RealFileSystem(), engine.model_path()));
  ChatTemplateInputs inputs;
  if (!system.empty()) inputs.messages.push_back({{"role", "system"}, {"content", system}});
  inputs.messages.push_back({{"role", "user"}, {"content", user}});
  inputs.now = CurrentLocalTime();
  FASTKV_ASSIGN_OR_RETURN(const std::vector<TextSegment> segments, chat.Render(inputs));
  return tokenizer.Encode(segments, {.add_special_tokens = false, .parse_special = true});
}

}  // namespace fastkv
