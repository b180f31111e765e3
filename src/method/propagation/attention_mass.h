// How many tokens to propagate, from how the attention of the observation window is spread: few
// where it is concentrated, many where it is flat. Ours.
//
//   u[j]  window sums before pooling, added over all query heads (docs/methods.md), j < n - w:
//         pooling widens peaks and would inflate the counts
//   m(p)  smallest m for which the m largest u sum to at least p of all
//   h     - sum_j (u[j] / sum u) ln(u[j] / sum u)
//   T     clamp(round up to 64 (w + trunc(beta m)), T_lo, T_hi), at most n
#ifndef FASTKV_METHOD_PROPAGATION_ATTENTION_MASS_H_
#define FASTKV_METHOD_PROPAGATION_ATTENTION_MASS_H_

#include <cstdint>
#include <span>

namespace fastkv {

// m(p), summed in double in descending order. All scores where they sum to nothing or to NaN, and
// for p >= 1. REQUIRES: scores are not negative.
int64_t TokensHoldingMass(std::span<const double> scores, double p);

// h, in nats; a score of 0 adds nothing. 0 where the scores sum to nothing or to
// NaN.
double AttentionEntropy(std::span<const double> scores);

// trunc(exp(h) * factor): the number of tokens that a flat distribution of this entropy covers.
int64_t TokensOfEntropy(double entropy, double factor);

struct PropagatedCountParams {
  int64_t tokens_in = 0;  // n
  int64_t window = 0;     // w
  int64_t counted = 0;    // m
  double factor = 1;      // beta
  int64_t min_tokens = 0;
  int64_t max_tokens = 0;
};

// T. REQUIRES: min_tokens <= max_tokens.
int64_t PropagatedCount(const PropagatedCountParams& params);

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_ATTENTION_MASS_H_
