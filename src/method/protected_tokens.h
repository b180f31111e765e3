// Tokens that the user wants kept in every layer and head and sent through every layer.
#ifndef FASTKV_METHOD_PROTECTED_TOKENS_H_
#define FASTKV_METHOD_PROTECTED_TOKENS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/ops.h"
#include "base/status.h"
#include "method/method_config.h"

namespace fastkv {

// The protected tokens of a prompt: ascending, disjoint, not touching, cut to the prompt.
std::vector<PromptSpan> ProtectedTokens(const MethodConfig& config, int64_t prompt_tokens);

// How many the protected tokens and the last `tail` tokens of a prompt are together; 0 where none
// is protected.
int64_t TokensNeeded(std::span<const PromptSpan> protected_tokens, int64_t prompt_tokens,
                     int64_t tail);

// Errors: kInvalidArgument, naming both numbers, where `budget` tokens of the prompt cannot hold
// the protected ones and its last `tail` tokens. `what` names the budget.
Status CheckProtectedFit(std::span<const PromptSpan> protected_tokens, int64_t prompt_tokens,
                         int64_t tail, int64_t budget, const std::string& what);

// Where the protected tokens stand among the tokens that a layer received. `positions`: their
// original positions, ascending; empty: it received the whole prompt. REQUIRES: they are all there.
std::vector<ColumnSpan> ReceivedIndices(std::span<const PromptSpan> protected_tokens,
                                        std::span<const int32_t> positions);

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROTECTED_TOKENS_H_
