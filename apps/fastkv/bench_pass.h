// One prefill and the decoding behind it, as `fastkv bench` times them.
#ifndef FASTKV_APPS_BENCH_PASS_H_
#define FASTKV_APPS_BENCH_PASS_H_

#include <cstdint>
#include <functional>
#include <span>

#include "backend/backend.h"
#include "base/cancel.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/prefill.h"
#include "method/method.h"
#include "method/prefill_plan.h"

namespace fastkv {

struct BenchPassOptions {
  std::span<const int32_t> ids;  // the prompt
  int64_t batch = 1;             // sequences decoded together, each with its own copy of the cache
  int64_t new_tokens = 0;        // decoding steps
  double prefill_limit_ms = 0;   // above 0: give the prefill up after this time
  const CancelFlag* cancel = nullptr;
  std::function<void(const PrefillProgress&)> on_progress;  // may be null
  std::function<void()> on_prefilled;                       // right behind the prefill's time
  std::function<void()> on_decoding;                        // right before the decoding's time
};

struct BenchPassResult {
  bool complete = false;  // not given up
  double prefill_ms = 0;
  double decode_ms = 0;    // of all steps
  int64_t kv_bytes = 0;    // held after prefill by all sequences
  PrefillPlan plan;        // as it was carried out
  int64_t peak_bytes = 0;  // high-water mark of the pass, without the weights
};

// Runs on `backend`, which is the engine's or forwards to it. Decoding is greedy, the choice made
// on the device; it may go beyond the model's positions. Errors: those of Prefill and of decoding.
Result<BenchPassResult> RunBenchPass(const Engine& engine, Backend& backend, const Method& method,
                                     const BenchPassOptions& options);

}  // namespace fastkv

#endif  // FASTKV_APPS_BENCH_PASS_H_
