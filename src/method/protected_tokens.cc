#include "method/protected_tokens.h"

#include <algorithm>

#include "base/check.h"

namespace fastkv {

std::vector<PromptSpan> ProtectedTokens(const MethodConfig& config, int64_t prompt_tokens) {
  std::vector<PromptSpan> spans = config.protect;
  spans.push_back({0, config.protect_first});
  spans.push_back({prompt_tokens - std::min(config.protect_last, prompt_tokens), prompt_tokens});
  std::sort(spans.begin(), spans.end(),
            [](const PromptSpan& a, const PromptSpan& b) { return a.begin < b.begin; });
  std::vector<PromptSpan> merged;
  for (PromptSpan span : spans) {
    span.end = std::min(span.end, prompt_tokens);
    if (span.begin >= span.end) continue;
    if (!merged.empty() && span.begin <= merged.back().end) {
      merged.back().end = std::max(merged.back().end, span.end);
    } else {
      merged.push_back(span);
    }
  }
  return merged;
}

int64_t TokensNeeded(std::span<const PromptSpan> protected_tokens, int64_t prompt_tokens,
                     int64_t tail) {
  if (protected_tokens.empty()) return 0;
  int64_t needed = tail;
  for (const PromptSpan& span : protected_tokens) {
    needed += std::max<int64_t>(0, std::min(span.end, prompt_tokens - tail) - span.begin);
  }
  return needed;
}

Status CheckProtectedFit(std::span<const PromptSpan> protected_tokens, int64_t prompt_tokens,
                         int64_t tail, int64_t budget, const std::string& what) {
  const int64_t needed = TokensNeeded(protected_tokens, prompt_tokens, tail);
  if (needed <= budget) return OkStatus();
  return InvalidArgumentError(
      "the protected tokens" +
      (tail > 0 ? " and the last " + std::to_string(tail) + " tokens" : std::string()) + " are " +
      std::to_string(needed) + ", but " + what + " is " + std::to_string(budget) +
      "; raise the budget or protect fewer tokens");
}

std::vector<ColumnSpan> ReceivedIndices(std::span<const PromptSpan> protected_tokens,
                                        std::span<const int32_t> positions) {
  std::vector<ColumnSpan> spans;
  for (const PromptSpan& span : protected_tokens) {
    if (positions.empty()) {
      spans.push_back({span.begin, span.end});
      continue;
    }
    const auto begin = std::lower_bound(positions.begin(), positions.end(), span.begin);
    const auto end = std::lower_bound(begin, positions.end(), span.end);
    FASTKV_CHECK_EQ(end - begin, span.end - span.begin);
    spans.push_back({begin - positions.begin(), end - positions.begin()});
  }
  return spans;
}

}  // namespace fastkv
