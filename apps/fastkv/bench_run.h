// The runs behind `fastkv bench`: every method at every context, in turn, with the device's
// ceilings measured between them.
#ifndef FASTKV_APPS_BENCH_RUN_H_
#define FASTKV_APPS_BENCH_RUN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "engine/engine.h"
#include "eval/speed_report.h"
#include "method/method_config.h"

namespace fastkv {

struct BenchRunOptions {
  std::vector<MethodConfig> methods;
  std::vector<int64_t> contexts;  // tokens of the prompt, each at most the model's positions
  int64_t new_tokens = 0;         // decoding steps; they may go beyond the model's positions
  int64_t repeat = 1;
  int64_t batch = 1;
  uint64_t seed = 0;      // of the prompts' random ids
  double ceiling_ms = 0;  // time for each ceiling each time; 0: not measured
  bool breakdown = false;
  bool require_method = false;         // an error where a method other than full drops nothing
  const CancelFlag* cancel = nullptr;  // may be null
  // `done` in [0, 1], by the work that the plans foresee; `doing` names the run. May be null.
  std::function<void(double done, const std::string& doing)> on_progress;
};

// One row for each context and method, contexts outermost. At each context, every method runs once
// unmeasured for at most a few seconds; then all of them in turn, `repeat` times. A run that gets
// no memory becomes its row's error. Errors: those of CreateMethod, of the prompt's length, of the
// device; kInvalidArgument where options.require_method is not met; kCancelled. `rows`: appended to
// at the end of each context, so that it holds the finished contexts after an error too.
Status RunBenchRows(const Engine& engine, const BenchRunOptions& options,
                    std::vector<SpeedRow>& rows);

}  // namespace fastkv

#endif  // FASTKV_APPS_BENCH_RUN_H_
