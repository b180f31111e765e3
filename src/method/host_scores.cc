#include "method/host_scores.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace fastkv {

Result<std::vector<double>> ReadScores(Backend& backend, const ConstTensorView& scores) {
  FASTKV_CHECK(scores.packed());
  std::vector<float> values(static_cast<size_t>(scores.num_elements()));
  FASTKV_RETURN_IF_ERROR(backend.Synchronize());
  FASTKV_RETURN_IF_ERROR(backend.CopyToHost(values.data(), scores.data(), 4 * std::ssize(values)));
  return std::vector<double>(values.begin(), values.end());
}

void RaiseProtected(const LayerInputs& inputs, std::span<double> scores) {
  for (const ColumnSpan& span : inputs.protected_tokens) {
    const int64_t end = std::min(span.end, std::ssize(scores));
    for (int64_t token = span.begin; token < end; ++token) {
      scores[token] = std::numeric_limits<double>::infinity();
    }
  }
}

Status WriteTokens(Backend& backend, std::span<const int32_t> tokens, Selection& selection) {
  FASTKV_CHECK_LE(std::ssize(tokens), selection.token_indices.num_elements());
  selection.tokens_out = std::ssize(tokens);
  return backend.CopyToDevice(selection.token_indices.data(), tokens.data(),
                              4 * std::ssize(tokens));
}

}  // namespace fastkv
