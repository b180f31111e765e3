// The runs behind calibration over one prompt: the full one, and behind each candidate layer the
// rest of the model over the tokens selected there. Read calibration.h first.
#ifndef FASTKV_ENGINE_PROMPT_CALIBRATION_H_
#define FASTKV_ENGINE_PROMPT_CALIBRATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "engine/calibration.h"
#include "engine/engine.h"
#include "engine/layer_choice.h"
#include "engine/observation_recorder.h"
#include "engine/token_stream.h"
#include "method/method.h"
#include "model/decoder_layer.h"

namespace fastkv {

// Not thread-safe. Engine, prompt and options must outlive it.
class PromptCalibration {
 public:
  // Makes the plans; takes no memory of the device. Errors: kInvalidArgument, kLimit.
  static Result<PromptCalibration> Plan(const Engine& engine, const CalibrationPrompt& prompt,
                                        const CalibrationOptions& options,
                                        const CandidateLayers& candidates);

  int64_t num_prompt_tokens() const { return num_prompt_tokens_; }
  // Tokens that go on behind each candidate.
  int64_t num_propagated() const { return num_propagated_; }
  // Positions compared: the prompt's last and those of the continuation.
  int64_t num_positions() const { return num_positions_; }
  double TotalFlops() const;

  // Runs everything, once; `on_flops` hears of operations done. One effect for each candidate.
  // Errors: kCancelled, kMemory, kDevice, kNumeric.
  Result<std::vector<CutEffect>> Run(std::function<void(double flops)> on_flops);

 private:
  // What a run gives at the positions that are compared.
  struct Output {
    std::vector<float> logits;  // [positions, vocab_size]
    std::vector<float> hidden;  // [positions, hidden_size], after the final norm
  };

  PromptCalibration(const Engine& engine, const CalibrationPrompt& prompt,
                    const CalibrationOptions& options, const CandidateLayers& candidates);

  Status MakePlans();
  Status AllocateMemory();
  bool Selects(int64_t layer) const;
  // One layer over all of `tokens`, block by block; `is_observed`: its window's queries are kept.
  // In the last layer only the compared positions need an output.
  Status RunLayer(int64_t layer, const TokenStream& tokens, bool is_observed);
  Status RunBlock(int64_t layer, const TokenStream& tokens, int64_t begin, int64_t end,
                  bool is_observed);
  // Fills indices_ with the prompt's tokens that would go on behind `layer`, and the continuation.
  Status SelectBehind(int64_t layer);
  // The layers behind `cut` over the tokens of indices_. The keys and values of the full run's
  // layer are overwritten: they have served.
  Result<Output> RunBehind(int64_t cut);
  Result<Output> ReadOutput(const TokenStream& tokens);
  std::vector<CutEffect> CompareWith(const Output& full) const;

  // Tokens of the run behind a candidate.
  int64_t num_behind() const { return num_propagated_ + num_positions_ - 1; }
  double LayerFlopsOf(int64_t layer, int64_t num_tokens, int64_t begin, int64_t end) const;
  double HeadFlops() const;
  // Operations of a prefill by `plan` as a share of a full one's.
  double PrefillShare(const PrefillPlan& plan) const;
  int64_t FirstOutput(int64_t layer, int64_t num_tokens) const;
  TensorView LayerKv(const Buffer& buffer, int64_t num_tokens) const;

  Backend& backend_;
  const DecoderModel& model_;
  const ModelConfig& config_;
  const CalibrationOptions& options_;
  CandidateLayers candidates_;
  int64_t num_prompt_tokens_;
  int64_t num_positions_;
  std::vector<int32_t> ids_;  // prompt and continuation
  int64_t block_tokens_;

  std::vector<std::unique_ptr<Method>> methods_;  // one for each layer that is selected behind
  std::vector<PrefillPlan> plans_;                // as methods_
  int64_t num_propagated_ = 0;

  std::optional<TokenStream> tokens_;  // the full run
  std::optional<TokenStream> behind_;  // the run behind one candidate
  std::optional<ObservationRecorder> recorder_;
  DecoderWorkspace workspace_;
  Buffer keys_;     // one layer's: [num_kv_heads, tokens, head_dim], kv
  Buffer values_;   // as keys_
  Buffer indices_;  // [num_behind()], i32
  Buffer logits_;   // [num_positions, vocab_size], f32
  std::vector<float> final_norm_;
  std::function<void(double)> on_flops_;

  std::vector<std::vector<int32_t>> selected_;  // as methods_, without the continuation
  std::vector<Output> outputs_;                 // [candidates]
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_PROMPT_CALIBRATION_H_
