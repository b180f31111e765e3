// How far one model output lies from another: the measures that calibration compares candidates by.
// Pure functions, in double precision.
#ifndef FASTKV_ENGINE_OUTPUT_DIFFERENCE_H_
#define FASTKV_ENGINE_OUTPUT_DIFFERENCE_H_

#include <cstdint>
#include <span>

namespace fastkv {

struct OutputDifference {
  double logits_distance = 0;   // ||z - z_full|| / ||z_full||
  double hidden_distance = 0;   // the same of the final hidden state, after its norm
  double kl_divergence = 0;     // KL(full || other) of the next token's distribution, in nats
  double argmax_agreement = 1;  // 1 where both have the same likeliest token, else 0
  double top10_overlap = 1;     // share of the ten likeliest tokens that both have
};

// ||x - reference|| / ||reference||, Euclidean; 0 where both are zero, 1 where only `reference` is.
// REQUIRES: equal sizes.
double NormalisedDistance(std::span<const float> x, std::span<const float> reference);

// The sum over tokens of p log(p / q) for the distributions that the logits p and q stand for.
// REQUIRES: equal sizes, finite values.
double KlDivergence(std::span<const float> p_logits, std::span<const float> q_logits);

// The share of the `count` largest logits (ties: the lower index) that both have.
double TopOverlap(std::span<const float> a, std::span<const float> b, int64_t count);

// RMS norm of a hidden state as the model's last step does it: x / sqrt(mean x^2 + epsilon) *
// weight, in place.
void ApplyRmsNorm(std::span<float> x, std::span<const float> weight, double epsilon);

// All measures of one position. The hidden states are those after the final norm.
OutputDifference CompareOutputs(std::span<const float> logits, std::span<const float> full_logits,
                                std::span<const float> hidden, std::span<const float> full_hidden);

// The mean of each measure. REQUIRES: at least one.
OutputDifference MeanDifference(std::span<const OutputDifference> differences);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_OUTPUT_DIFFERENCE_H_
