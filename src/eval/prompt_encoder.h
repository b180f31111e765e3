// From the parts of a prompt to token ids: as plain text, or in the model's chat template.
#ifndef FASTKV_EVAL_PROMPT_ENCODER_H_
#define FASTKV_EVAL_PROMPT_ENCODER_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/suite.h"

namespace fastkv {

// `user` as the one user message of the chat template, with an open assistant turn. Text in `user`
// is never read as a special token. REQUIRES: options.chat_template is set. Errors: those of the
// template and of the tokenizer.
Result<std::vector<int32_t>> EncodeUserMessage(const SuiteOptions& options, std::string_view user);

// How many ids two prompts begin with alike.
int64_t CommonPrefixTokens(std::span<const int32_t> a, std::span<const int32_t> b);

}  // namespace fastkv

#endif  // FASTKV_EVAL_PROMPT_ENCODER_H_
