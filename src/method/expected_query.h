// The distribution of a head's queries at positions still to come, from the moments of its queries
// before rotary embedding: Expected Attention, arXiv 2510.00636.
#ifndef FASTKV_METHOD_EXPECTED_QUERY_H_
#define FASTKV_METHOD_EXPECTED_QUERY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "method/layer_observation.h"

namespace fastkv {

// The mean over the positions [begin, end) of the rotation by each: component c of a vector x
// becomes cosines[c] x[c] - sines[c] x[c + d/2], component c + d/2 becomes cosines[c] x[c + d/2] +
// sines[c] x[c]. Not a rotation itself: fast angles average out.
struct MeanRotation {
  std::vector<double> cosines;  // [head_dim / 2]
  std::vector<double> sines;    // [head_dim / 2]
};

// REQUIRES: begin < end. Angles are formed in float32, as the model forms them.
MeanRotation AverageRotation(const RotaryEmbedding& rotary, int64_t begin, int64_t end);

// Turns one head's sums over `num_rows` queries, sum[c] and products[c, e], in place into mean and
// population covariance of the rotated queries: R m and R S R^T. Computed in double.
void ExpectedQuery(const MeanRotation& rotation, int64_t num_rows, std::span<float> sum,
                   std::span<float> products);

}  // namespace fastkv

#endif  // FASTKV_METHOD_EXPECTED_QUERY_H_
