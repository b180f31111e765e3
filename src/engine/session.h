// One conversation with a model: its cache, what prefill reported, and decoding. Text is not known
// here; token ids go in and come out (Tokenizer::StreamingDecoder and stop_strings.h turn them into
// text).
#ifndef FASTKV_ENGINE_SESSION_H_
#define FASTKV_ENGINE_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/prefill.h"
#include "engine/sampler.h"
#include "engine/token_decoder.h"
#include "engine/turn_observer.h"
#include "kv/kv_cache.h"
#include "method/method.h"
#include "method/method_config.h"
#include "method/prefill_plan.h"

namespace fastkv {

struct PrefillRequest {
  std::span<const int32_t> ids;  // the prompt
  MethodConfig method;
  bool require_method = false;  // an error where the method drops nothing of this prompt
  // Further turns will come: what Compress looks at is kept of the tokens behind the prompt.
  bool goes_on = false;
  PrefillOptions options;
  std::function<void(const PrefillProgress&)> on_progress;  // after every block; may be null
};

// Several methods that read one prompt together.
struct SharedPrefillRequest {
  std::span<const int32_t> ids;  // the prompt
  std::vector<MethodConfig> methods;
  PrefillOptions options;
  std::function<void(const PrefillProgress&)> on_progress;  // after every block; may be null
};

// What became of a layer.
struct LayerReport {
  int64_t tokens_in = 0;
  std::vector<int64_t> kv_len;  // [num_kv_heads]: entries kept
  bool operator==(const LayerReport&) const = default;
};

struct PrefillReport {
  PrefillPlan plan;  // as it was carried out
  std::vector<LayerReport> layers;
  std::optional<std::vector<int32_t>> propagated;  // as Prefill::propagated
  std::optional<double> mean_logprob;              // as Prefill::mean_logprob
  int64_t kv_bytes = 0;       // held by the cache after prefill, from allocations
  int64_t full_kv_bytes = 0;  // what keeping everything as it is computed would hold
  int64_t peak_bytes = 0;  // high-water mark of device memory during prefill, without the weights
  double prefill_ms = 0;

  // Whether an entry was dropped, or a token did not go through all layers.
  bool dropped_anything() const;
};

// What a method did to a prompt, in a line: for each range of layers that are alike the tokens
// received and the entries kept.
std::string Describe(const PrefillReport& report);

enum class FinishReason {
  kEndToken,  // one of end_ids came; it is the last output id
  kMaxNewTokens,
  kContextFull,  // the model's positions are used up
  kStoppedByCaller,
  kCancelled,
};

struct DecodeRequest {
  int64_t max_new_tokens = 0;
  SamplingOptions sampling;
  std::vector<int32_t> end_ids;
  const CancelFlag* cancel = nullptr;
  // Called with each new id as it is made; false ends decoding. May be null.
  std::function<bool(int32_t id)> on_token;
};

struct DecodeReport {
  std::vector<int32_t> output_ids;
  FinishReason finish_reason = FinishReason::kMaxNewTokens;
  double first_token_ms = 0;  // from the start of Decode to the first id
  // Mean over the tokens after the first, each a step through the whole model; 0 where there were
  // none.
  double decode_ms_per_token = 0;
};

// What Session::Compress did.
struct CompressReport {
  bool reduced = false;  // false: the cache is inside its budget, or too few tokens have come
  int64_t kv_bytes_before = 0;
  int64_t kv_bytes_after = 0;
  int64_t peak_bytes = 0;  // high-water mark of device memory while it ran, without the weights
  double elapsed_ms = 0;
};

// The ids that end an answer of this model.
std::vector<int32_t> EndIdsOf(const GenerationConfig& config);

// Not thread-safe. The engine must outlive it.
class Session {
 public:
  explicit Session(const Engine& engine) : engine_(engine) {}

  // Starts anew with a prompt: earlier contents are dropped. Errors: those of CreateMethod and
  // Prefill, kInvalidArgument where request.require_method is not met; the session is then empty.
  // kNumeric where the output is not finite.
  Status Prefill(const PrefillRequest& request);

  // One session for each method, in their order, from one pass over the prompt: they hold the
  // entries that each would hold alone, with values that differ by rounding at most. The reports'
  // times and peaks are those of the pass. REQUIRES: at least one method. Errors: as Prefill;
  // kUnsupported where the methods cannot share a pass (shared_pass.h): run them one after another
  // then.
  static Result<std::vector<Session>> PrefillTogether(const Engine& engine,
                                                      const SharedPrefillRequest& request);

  // Goes on with further prompt tokens behind what is there: they attend to the kept entries and to
  // each other, at their true positions. Behind a Decode, the last generated token is run first,
  // unless DiscardUnrunToken took it back. REQUIRES: a successful Prefill. Errors:
  // kInvalidArgument (an id outside the vocabulary), kLimit (more positions than the model has),
  // kMemory, kCancelled, kDevice; the session then stands where it stood before the call, or, where
  // the method drops entries while decoding, after some of the tokens.
  Status Append(std::span<const int32_t> ids, const CancelFlag* cancel);

  // Takes the last generated token back, which Decode has not run through the model: an end token
  // that the next turn's text brings along itself.
  void DiscardUnrunToken();

  // Where the cache, kept entries and tail, holds more than the method would keep of one prompt of
  // all tokens so far, applies its retention rule again (cache_compression.h). A rule with a window
  // waits until the tail holds it. REQUIRES: a successful Prefill with `goes_on`. Errors:
  // kUnsupported where the method cannot be applied again (Method::BudgetFor); kInvalidArgument
  // where the protected tokens do not fit; kMemory, kDevice. The session is then as before.
  Result<CompressReport> Compress();

  // What Compress reduces the cache to: entries per KV head for each layer. REQUIRES: a successful
  // Prefill. Errors: as Compress.
  Result<std::vector<int64_t>> BudgetLens() const;

  // Tokens of the conversation that were run, wherever they were kept. REQUIRES: a successful
  // Prefill.
  int64_t num_tokens() const;
  // Positions that the model has left for further tokens. REQUIRES: a successful Prefill.
  int64_t context_left() const;

  // A second session that goes on from here; the frozen entries are shared, not copied.
  // REQUIRES: a successful Prefill. Errors: kMemory.
  Result<Session> Fork() const;

  // Generates behind what is there; behind an earlier Decode, its last token is run first.
  // REQUIRES: a successful Prefill.
  Result<DecodeReport> Decode(const DecodeRequest& request);

  const PrefillReport& prefill_report() const { return report_; }
  // Original positions of the entries that the cache holds now, of one KV head of a layer,
  // ascending; generated tokens count on from the prompt's length. REQUIRES: a successful Prefill.
  // Errors: kDevice.
  Result<std::vector<int32_t>> PositionsOf(int64_t layer, int64_t kv_head) const;
  // Logits after the last token seen so far, as host floats [vocab_size]. Errors: kDevice.
  Result<std::vector<float>> LastLogits() const;
  // REQUIRES: a successful Prefill.
  KvCache& cache() { return *cache_; }
  const KvCache& cache() const { return *cache_; }

 private:
  Status RunPrefill(const PrefillRequest& request);
  static Result<std::vector<Session>> RunPrefillTogether(const Engine& engine,
                                                         const SharedPrefillRequest& request);
  // Reports what a finished prefill did for one of its methods, and hands over its cache.
  KvCache TakeOver(fastkv::Prefill& prefill, int64_t method, std::span<const int32_t> ids);
  Status RunAppend(std::span<const int32_t> ids, const CancelFlag* cancel);
  Status AppendBlocks(std::span<const int32_t> ids, const CancelFlag* cancel);
  Result<CompressReport> RunCompress();
  Result<CacheBudget> Budget() const;
  Status MakeObserver();
  Status MakeDecoder(int64_t max_tokens);
  // kNumeric where the logits hold NaN or infinity.
  Status CheckLogits() const;
  // Runs tokens behind the cache and keeps the logits after the last of them.
  Status RunTokens(std::span<const int32_t> ids, const CancelFlag* cancel);
  Result<DecodeReport> RunDecode(const DecodeRequest& request);
  ConstTensorView logits() const;

  const Engine& engine_;
  PrefillReport report_;
  std::shared_ptr<const Method> method_;  // shared by forks
  std::vector<int32_t> seen_ids_;         // the prompt and all that came behind it
  std::optional<int32_t> unrun_id_;       // the last of seen_ids_, where it was not run yet
  Buffer logits_;  // [1, vocab_size], f32: what follows the last token that was run
  std::optional<KvCache> cache_;
  std::optional<TailEviction> eviction_;
  std::optional<TurnObserver> observer_;
  std::optional<TokenDecoder> decoder_;  // made by the first step
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_SESSION_H_
