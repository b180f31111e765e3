// Scores on the host, for rules that decide from them.
#ifndef FASTKV_METHOD_HOST_SCORES_H_
#define FASTKV_METHOD_HOST_SCORES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "method/layer_observation.h"
#include "method/method.h"

namespace fastkv {

// All elements of a packed f32 view, row by row. Waits for the device. Errors: kDevice.
Result<std::vector<double>> ReadScores(Backend& backend, const ConstTensorView& scores);

// Makes protected tokens win in `scores` of the first scores.size() tokens received.
void RaiseProtected(const LayerInputs& inputs, std::span<double> scores);

// Writes `tokens` into selection.token_indices and sets selection.tokens_out. REQUIRES: no more
// tokens than there is room for. Errors: kDevice.
Status WriteTokens(Backend& backend, std::span<const int32_t> tokens, Selection& selection);

}  // namespace fastkv

#endif  // FASTKV_METHOD_HOST_SCORES_H_
