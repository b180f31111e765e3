// A user's text in the model's chat template, as token ids. Text that came from the user is never
// read as a special token, whatever it spells.
#ifndef FASTKV_APPS_CHAT_PROMPT_H_
#define FASTKV_APPS_CHAT_PROMPT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "text/tokenizer.h"

namespace fastkv {

struct ChatPrompt {
  std::vector<int32_t> ids;
  // Tokens before the user's text: the template's head and the system message, its own or `system`.
  int64_t system_tokens = 0;
};

// One user message, after a system message where `system` is not empty, with the generation prompt.
// Errors: those of the template (a folder may lack one).
Result<ChatPrompt> EncodeChatPrompt(const Engine& engine, const Tokenizer& tokenizer,
                                    const std::string& system, const std::string& user);

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_PROMPT_H_
