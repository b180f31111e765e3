// Prefill of one prompt as a resumable object: layer by layer, inside a layer block by block. A
// layer is finished for the whole prompt before the next begins, since selection needs the last
// rows' attention to every key; blocks bound the scratch memory. Between two steps it can be
// cancelled or set aside.
#ifndef FASTKV_ENGINE_PREFILL_H_
#define FASTKV_ENGINE_PREFILL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "base/cancel.h"
#include "base/status.h"
#include "kv/kv_cache.h"
#include "method/method.h"
#include "model/decoder_layer.h"
#include "model/decoder_model.h"

namespace fastkv {

struct PrefillOptions {
  int64_t block_tokens = 0;            // tokens in a block; 0: chosen from the model's sizes
  bool score_prompt = false;           // also compute the mean log probability of the prompt
  const CancelFlag* cancel = nullptr;  // may be null; must outlive the prefill
};

struct PrefillProgress {
  int64_t layer = 0;  // being worked on; num_layers when done
  int64_t num_layers = 0;
  int64_t tokens_in_layer = 0;
  double done_flops = 0;
  double total_flops = 0;
};

// Whether `ids` can be a prompt of this model. Errors: kInvalidArgument (no token, an id outside
// the vocabulary), kLimit (more tokens than the model has positions).
Status CheckPromptIds(std::span<const int32_t> ids, const ModelConfig& config);

// Tokens in a block for full speed on this back end, for PrefillOptions::block_tokens of 0.
int64_t DefaultBlockTokens(const BackendInfo& info, const ModelConfig& config);

// Not thread-safe. Model, method and back end must outlive it.
class Prefill {
 public:
  // Makes the plan and takes all memory. `ids` has at least one token, each below the vocabulary
  // size. Errors: kInvalidArgument, kMemory.
  static Result<std::unique_ptr<Prefill>> Start(Backend& backend, const DecoderModel& model,
                                                const Method& method, std::span<const int32_t> ids,
                                                const PrefillOptions& options);

  const PrefillPlan& plan() const { return plan_; }
  bool done() const { return layer_ == model_.config().num_layers; }
  // Runs one block of one layer. REQUIRES: !done(). Errors: kCancelled, kDevice, kMemory; the
  // prefill cannot go on after one.
  Status Step();
  PrefillProgress progress() const;

  // The following are for after the last step.

  // Logits after the last prompt token, once: [1, vocab_size], f32.
  Buffer TakeLogits() { return std::move(logits_); }
  // Original positions of the tokens that went on after the cut, or nothing where no cut was made.
  const std::optional<std::vector<int32_t>>& propagated() const { return propagated_; }
  // Mean natural-log probability of tokens 1 .. N-1, or nothing where it was not asked for or N
  // is 1.
  std::optional<double> mean_logprob() const { return mean_logprob_; }
  // The cache, once. Its next position is the prompt's length.
  KvCache TakeCache() { return std::move(cache_); }

 private:
  Prefill(Backend& backend, const DecoderModel& model, const Method& method, PrefillPlan plan,
          const PrefillOptions& options);

  Status AllocateMemory();
  Status AllocateSelection();
  Status Embed();
  // Decides where the layer's keys and values go: into the cache itself where all are kept.
  void BeginLayer();
  Status RunBlock(int64_t begin, int64_t end);
  void Attend(ConstTensorView queries, TensorView out, int64_t begin, int64_t end);
  Status FinishLayer();
  Status SelectAndStore();
  Status Propagate(ConstTensorView token_indices);
  Status FinishPrompt();
  Status ScorePrompt();
  // Copies the queries of rows [begin, end) that lie in the observation window.
  void KeepWindowQueries(ConstTensorView queries, int64_t begin, int64_t end);

  const LayerPlan& layer_plan() const { return plan_.layers[layer_]; }

  Backend& backend_;
  const DecoderModel& model_;
  const Method& method_;
  PrefillPlan plan_;
  PrefillOptions options_;
  ModelShape shape_;
  std::vector<int32_t> ids_;
  int64_t last_layer_rows_ = 1;

  DecoderWorkspace workspace_;
  Buffer hidden_;       // [tokens_in, hidden_size], f32
  Buffer positions_;    // [tokens_in], i32
  Buffer cos_sin_;      // [tokens_in, head_dim], f32
  Buffer next_hidden_;  // the same for the tokens after the cut
  Buffer next_positions_;
  Buffer next_cos_sin_;
  Buffer layer_keys_;  // [num_kv_heads, tokens_in, head_dim], kv
  Buffer layer_values_;
  Buffer window_queries_;  // [window, num_q_heads, head_dim], act
  ObservationScratch scores_;
  Buffer kv_indices_;     // [num_kv_heads, kv_len], i32
  Buffer token_indices_;  // [tokens_out], i32
  Buffer logits_;         // [1, vocab_size], f32
  KvCache cache_;

  int64_t layer_ = 0;
  int64_t block_begin_ = 0;
  TensorView keys_;  // where the layer's keys go: [num_kv_heads, tokens_in, head_dim]
  TensorView values_;
  double done_flops_ = 0;
  double total_flops_ = 0;
  std::optional<std::vector<int32_t>> propagated_;
  std::optional<double> mean_logprob_;
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_PREFILL_H_
