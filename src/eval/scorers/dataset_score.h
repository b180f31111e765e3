// The score of a whole data set from those of its samples, rounded as the public programs round it.
#ifndef FASTKV_EVAL_SCORERS_DATASET_SCORE_H_
#define FASTKV_EVAL_SCORERS_DATASET_SCORE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace fastkv {

// 100 times the mean, rounded to two decimals as Python's round does: by the exact binary value, so
// that 2.675 gives 2.67. REQUIRES: !scores.empty(). Thread-safe.
double DatasetScore(std::span<const double> scores);

// A sample of LongBench-E.
struct SizedScore {
  double score = 0;
  int64_t length = 0;  // the data's own count, in words or characters
};

// LongBench-E's scores of the lengths below 4,000, below 8,000 and above; nothing for a bin without
// samples. They go through numpy, which scales before it rounds, so that 2.675 gives 2.68
// (scorer_e in eval.py). Thread-safe.
std::array<std::optional<double>, 3> LongBenchEScores(std::span<const SizedScore> scores);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_DATASET_SCORE_H_
