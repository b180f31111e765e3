// Confidence intervals by resampling (Efron 1979, the percentile interval): how far a mean may be
// off because only these samples were drawn.
#ifndef FASTKV_EVAL_BOOTSTRAP_H_
#define FASTKV_EVAL_BOOTSTRAP_H_

#include <cstdint>
#include <span>
#include <vector>

namespace fastkv {

struct MeanInterval {
  double mean = 0;
  double low = 0;  // 2.5 % of the resampled means lie below
  double high = 0;
};

// The mean of the groups' means, every group counting the same, and its 95 % interval; each group
// is resampled within itself. Equal scores give an interval without width, however few they are.
// The same arguments give the same interval on every machine. REQUIRES: at least one group, none
// empty.
MeanInterval BootstrapMean(std::span<const std::vector<double>> groups, uint64_t seed);

}  // namespace fastkv

#endif  // FASTKV_EVAL_BOOTSTRAP_H_
