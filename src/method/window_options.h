// How the observation window scores the tokens before it: FastKV's three settings, and PeakKV's
// largest probability of the window's rows in place of their sum.
#ifndef FASTKV_METHOD_WINDOW_OPTIONS_H_
#define FASTKV_METHOD_WINDOW_OPTIONS_H_

#include <cstdint>

#include "method/layer_observation.h"
#include "method/rules.h"

namespace fastkv {

struct WindowOptions {
  int64_t window = 8;
  int64_t kernel = 7;
  PoolingKind pooling = PoolingKind::kMax;
  ReductionKind rows = ReductionKind::kSum;

  static WindowOptions Of(const MethodConfig& config) {
    return {WindowOf(config), KernelOf(config), PoolingOf(config),
            config.name == "peakkv" ? ReductionKind::kMax : ReductionKind::kSum};
  }

  // G and S of docs/methods.md.
  TensorView GroupScores(LayerObservation& observation) const {
    return observation.GroupScores(window, kernel, pooling, rows);
  }
  TensorView TokenScores(LayerObservation& observation) const {
    return observation.TokenScores(window, kernel, pooling, rows);
  }
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_WINDOW_OPTIONS_H_
