// Sharing a layer's budget out among its KV heads by their scores.
#ifndef FASTKV_METHOD_UNEQUAL_HEADS_H_
#define FASTKV_METHOD_UNEQUAL_HEADS_H_

#include <cstdint>

#include "base/status.h"
#include "method/layer_observation.h"
#include "method/method.h"

namespace fastkv {

// Fills selection.kv_indices and head_kv_len. Of num_kv_heads * (kv_len - window) entries, head a
// gets m_a * (1 - alpha) + trunc((kv_len - window) * alpha), halves rounded to even, where m_a
// counts its entries among the layer's best; it keeps as many of its own best, and the window
// (AdaKV, arXiv 2407.11550, algorithm 1). Ties go to the lower head, then the lower index.
// `scores`: [num_kv_heads, tokens - window], f32, packed; protected tokens are raised in them
// first. Errors: kDevice.
Status SelectUnequalHeads(const TensorView& scores, int64_t kv_len, int64_t window, double alpha,
                          LayerObservation& observation, Selection& selection);

}  // namespace fastkv

#endif  // FASTKV_METHOD_UNEQUAL_HEADS_H_
