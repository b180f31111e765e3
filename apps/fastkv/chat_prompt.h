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

// One user message, after a system message where `system` is not empty, with the generation prompt.
// Errors: those of the template (a folder may lack one).
Result<std::vector<int32_t>> EncodeChatPrompt(const Engine& engine, const Tokenizer& tokenizer,
                                              const std::string& system, const std::string& user);

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_PROMPT_H_
