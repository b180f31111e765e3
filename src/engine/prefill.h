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
#include "engine/observation_recorder.h"
#include "engine/prefill_members.h"
#include "engine/tail_eviction.h"
#include "engine/token_stream.h"
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
  int64_t layer = 0;  // being worked on, a first pass counted; num_layers when done
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

// Not thread-safe. Model, methods and back end must outlive it.
class Prefill {
 public:
  // Makes the plan and takes all memory. `ids` has at least one token, each below the vocabulary
  // size. Errors: kInvalidArgument, kMemory.
  static Result<std::unique_ptr<Prefill>> Start(Backend& backend, const DecoderModel& model,
                                                const Method& method, std::span<const int32_t> ids,
                                                const PrefillOptions& options);
  // The same for several methods that read the prompt together: each gets a cache of its own with
  // the entries that it would have alone. Values are those of reading alone but for rounding: the
  // last layer runs as many rows as the most demanding method needs. Errors: also kUnsupported,
  // from Step too, where they cannot (shared_pass.h).
  static Result<std::unique_ptr<Prefill>> Start(Backend& backend, const DecoderModel& model,
                                                std::span<const Method* const> methods,
                                                std::span<const int32_t> ids,
                                                const PrefillOptions& options);

  // What is being done, for all methods together; open cuts are settled as they are reached.
  const PrefillPlan& plan() const { return plan_; }
  // What is done for one of the methods.
  const PrefillPlan& PlanOf(int64_t method) const { return members_[method].plan; }
  bool done() const { return !selecting_ && layer_ == model_.config().num_layers; }
  // Runs one block of one layer. REQUIRES: !done(). Errors: kCancelled, kDevice, kMemory,
  // kInvalidArgument (no plan fits what was decided); the prefill cannot go on after one.
  Status Step();
  PrefillProgress progress() const;

  // The following are for after the last step.

  // Logits after the last prompt token, once: [1, vocab_size], f32.
  Buffer TakeLogits() { return std::move(logits_); }
  // Original positions of the tokens that went on after the last cut, ascending; nothing where none
  // was made or where tokens fall at many layers. Where the plan renumbers, the tokens that were
  // read the second time: entry i stands at position i of the cache.
  const std::optional<std::vector<int32_t>>& propagated() const { return propagated_; }
  // Mean natural-log probability of tokens 1 .. N-1, or nothing where it was not asked for, N is 1,
  // or some tokens did not go through all layers.
  std::optional<double> mean_logprob() const { return mean_logprob_; }
  // The cache of a method, once. Its next position is the plan's.
  KvCache TakeCache(int64_t method = 0) { return std::move(members_[method].cache); }
  // What drops entries while decoding, once; nothing where the plan has no eviction.
  std::optional<TailEviction> TakeEviction() { return std::move(eviction_); }

 private:
  // A layer is attention and MLP, block by block; where it cuts before the MLP, a second run over
  // the blocks of what is left.
  enum class Stage { kLayer, kMlp };

  Prefill(Backend& backend, const DecoderModel& model, PrefillMembers members,
          const PrefillOptions& options);

  Status AllocateMemory();
  // Decides where the layer's keys and values go: into the cache itself where all are kept.
  void BeginLayer();
  Status RunBlock(int64_t begin, int64_t end);
  void Attend(int64_t begin, int64_t end);
  double BlockFlops(int64_t begin, int64_t end) const;
  Status FinishBlocks();
  Status SelectAndStore();
  Status Propagate(const Selection& selection);
  // Settles an open cut and plans the remaining layers anew.
  Status Replan(int64_t tokens_out);
  Status BeginSecondPass();
  Status FinishPrompt();
  Status ScorePrompt();

  const std::vector<LayerPlan>& pass() const {
    return selecting_ ? plan_.selection_pass : plan_.layers;
  }
  const LayerPlan& layer_plan() const { return pass()[layer_]; }
  // Rows of the last layer that are processed in full.
  int64_t LastRows() const;
  bool CutsBeforeMlp() const {
    return layer_plan().may_cut() && layer_plan().cut_point == CutPoint::kBeforeMlp;
  }
  // Rows of the layer that are processed alike: [0, first) need keys and values alone, [first,
  // second) their queries too, the others everything.
  std::pair<int64_t, int64_t> RowKinds() const;

  Backend& backend_;
  const DecoderModel& model_;
  PrefillMembers members_;
  PrefillPlan plan_;  // of the pass that serves all members
  PrefillOptions options_;
  std::vector<int32_t> ids_;
  std::vector<CutDecision> decided_;

  DecoderWorkspace workspace_;
  std::optional<TokenStream> stream_;
  std::optional<ObservationRecorder> recorder_;
  std::optional<TailEviction> eviction_;
  Buffer layer_keys_;  // [num_kv_heads, tokens_in, head_dim], kv
  Buffer layer_values_;
  Buffer log_sum_exp_;  // [block_tokens, num_q_heads], f32
  Buffer logits_;       // [1, vocab_size], f32

  bool selecting_ = false;  // in the first pass of a prompt that is read twice
  int64_t layer_ = 0;
  Stage stage_ = Stage::kLayer;
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
