// Where a model can be cut: for each candidate layer, what the model would answer if only the
// selected tokens went on behind it, compared with what it answers in full (arXiv 2502.01068, on
// the choice of the TSP layer).
//
// A prompt is read once in full. Behind each candidate the tokens that FastKV selects there are
// gathered, and only the layers behind it run on them, at their original positions and without
// dropping KV entries; so a candidate costs about tsp_rate of the layers that follow it, and no
// layer before it runs twice. A continuation stands behind the prompt in both runs and is compared
// at each of its positions (teacher forcing): its tokens see what the cut left of the prompt, but
// take no part in the selection.
#ifndef FASTKV_ENGINE_CALIBRATION_H_
#define FASTKV_ENGINE_CALIBRATION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/layer_choice.h"
#include "method/method_config.h"

namespace fastkv {

struct CalibrationPrompt {
  std::vector<int32_t> ids;           // at least one token
  std::vector<int32_t> continuation;  // at most kMaxContinuationTokens; may be empty
};

inline constexpr int64_t kMaxContinuationTokens = 128;

struct CalibrationProgress {
  int64_t prompt = 0;  // being worked on, from 0
  int64_t num_prompts = 0;
  int64_t prompt_tokens = 0;  // of all prompts together
  double done_flops = 0;
  double total_flops = 0;
};

struct CalibrationOptions {
  // Candidates, zero-based and both included. Not set: a quarter and three quarters of the layers.
  std::optional<int64_t> first_layer;
  std::optional<int64_t> last_layer;
  Budget tsp = Budget::Rate(0.2);
  int64_t window = 8;
  int64_t kernel = 7;
  PoolingKind pooling = PoolingKind::kMax;
  std::optional<double> threshold;                              // of ChooseTspLayer
  int64_t block_tokens = 0;                                     // as in PrefillOptions
  const CancelFlag* cancel = nullptr;                           // may be null; must outlive the run
  std::function<void(const CalibrationProgress&)> on_progress;  // after every block; may be null
};

struct Calibration {
  std::vector<LayerSummary> curve;  // one a candidate, ascending
  LayerChoice choice;
  std::vector<int64_t> prompt_tokens;      // [prompts], continuations aside
  std::vector<int64_t> propagated_tokens;  // [prompts]: what went on behind each candidate
  int64_t compared_positions = 0;          // over all prompts
};

// Errors: kInvalidArgument (no prompt; candidates or settings that no plan follows; a prompt so
// short that all of it would go on), kLimit (longer than the model allows), kUnsupported (a model
// of one layer), kNumeric (outputs that are not finite), kMemory, kDevice, kCancelled.
Result<Calibration> Calibrate(const Engine& engine, std::span<const CalibrationPrompt> prompts,
                              const CalibrationOptions& options);

// The candidates that `options` mean for a model of `num_layers` layers: [first, last].
struct CandidateLayers {
  int64_t first = 0;
  int64_t last = 0;
};
// Errors: kUnsupported, kInvalidArgument, as Calibrate.
Result<CandidateLayers> CandidatesOf(const CalibrationOptions& options, int64_t num_layers);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_CALIBRATION_H_
