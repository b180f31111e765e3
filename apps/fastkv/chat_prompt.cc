#include "fastkv/chat_prompt.h"

#include <algorithm>

#include "fastkv/chat_template.h"

namespace fastkv {
namespace {

Result<std::vector<int32_t>> EncodeMessages(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                            const std::string& system, const std::string& user,
                                            ChatTemplateInputs inputs) {
  if (!system.empty()) inputs.messages.push_back({{"role", "system"}, {"content", system}});
  inputs.messages.push_back({{"role", "user"}, {"content", user}});
  FASTKV_ASSIGN_OR_RETURN(const std::vector<TextSegment> segments, chat.Render(inputs));
  return tokenizer.Encode(segments, {.add_special_tokens = false, .parse_special = true});
}

}  // namespace

Result<ChatPrompt> EncodeChatPrompt(const Engine& engine, const Tokenizer& tokenizer,
                                    const std::string& system, const std::string& user) {
  FASTKV_ASSIGN_OR_RETURN(const ChatTemplate chat,
                          ChatTemplate::Load(RealFileSystem(), engine.model_path()));
  ChatTemplateInputs inputs;
  inputs.now = CurrentLocalTime();
  ChatPrompt prompt;
  FASTKV_ASSIGN_OR_RETURN(prompt.ids, EncodeMessages(chat, tokenizer, system, user, inputs));
  // Where the prompt departs from one that differs in the user's first letter, his text begins.
  const std::string other_user = user.starts_with('x') ? "y" : "x";
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> other_ids,
                          EncodeMessages(chat, tokenizer, system, other_user, inputs));
  const auto [end, other_end] =
      std::mismatch(prompt.ids.begin(), prompt.ids.end(), other_ids.begin(), other_ids.end());
  prompt.system_tokens = end - prompt.ids.begin();
  return prompt;
}

}  // namespace fastkv
