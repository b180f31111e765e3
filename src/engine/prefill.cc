#include "engine/prefill.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "base/checked_math.h"
#include "engine/model_shape.h"
#include "engine/plan_cost.h"

namespace fastkv {
namespace {

constexpr int64_t kMinBlockTokens = 256;
constexpr int64_t kBlockStepTokens = 64;
// Rows of logits that prompt scoring holds at a time.
constexpr int64_t kScoreBlockTokens = 64;

KvGeometry GeometryOf(const Backend& backend, const ModelConfig& config) {
  return {.num_layers = config.num_layers,
          .num_kv_heads = config.num_kv_heads,
          .head_dim = config.head_dim,
          .dtype = backend.types().kv};
}

}  // namespace

Status CheckPromptIds(std::span<const int32_t> ids, const ModelConfig& config) {
  if (ids.empty()) {
    return InvalidArgumentError("the prompt is empty; give at least one token");
  }
  if (static_cast<int64_t>(ids.size()) > config.max_position_embeddings) {
    return LimitError("the prompt has " + std::to_string(ids.size()) +
                      " tokens, but the model allows " +
                      std::to_string(config.max_position_embeddings) + "; shorten the prompt");
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= config.vocab_size) {
      return InvalidArgumentError(
          "token " + std::to_string(i) + " of the prompt has id " + std::to_string(ids[i]) +
          "; the model's vocabulary has ids 0 to " + std::to_string(config.vocab_size - 1));
    }
  }
  return OkStatus();
}

int64_t DefaultBlockTokens(const BackendInfo& info, const ModelConfig& config) {
  const LayerPlan one_token{.tokens_in = 1, .kv_len = 1, .tokens_out = 1};
  const double flops_per_token = LayerFlops(config, one_token, 0, 0, 1, 1);
  const auto tokens = static_cast<int64_t>(info.block_flops / flops_per_token);
  return std::clamp(RoundUp(tokens, kBlockStepTokens), kMinBlockTokens, info.max_block_tokens);
}

Prefill::Prefill(Backend& backend, const DecoderModel& model, const Method& method,
                 PrefillPlan plan, const PrefillOptions& options)
    : backend_(backend),
      model_(model),
      method_(method),
      plan_(std::move(plan)),
      options_(options),
      shape_(ShapeOf(model.config())),
      cache_(backend, GeometryOf(backend, model.config())) {
  last_layer_rows_ = options_.score_prompt ? plan_.layers.back().tokens_in : LastLayerRows(plan_);
  if (options_.block_tokens <= 0) {
    options_.block_tokens = DefaultBlockTokens(backend.info(), model.config());
  }
  total_flops_ = PrefillFlops(model.config(), plan_, last_layer_rows_);
}

Result<std::unique_ptr<Prefill>> Prefill::Start(Backend& backend, const DecoderModel& model,
                                                const Method& method, std::span<const int32_t> ids,
                                                const PrefillOptions& options) {
  FASTKV_RETURN_IF_ERROR(CheckPromptIds(ids, model.config()));
  FASTKV_ASSIGN_OR_RETURN(PrefillPlan plan, method.Plan(static_cast<int64_t>(ids.size())));
  std::unique_ptr<Prefill> prefill(new Prefill(backend, model, method, std::move(plan), options));
  prefill->ids_.assign(ids.begin(), ids.end());
  FASTKV_RETURN_IF_ERROR(prefill->AllocateMemory());
  FASTKV_RETURN_IF_ERROR(prefill->Embed());
  prefill->BeginLayer();
  return prefill;
}

Status Prefill::AllocateMemory() {
  const ModelConfig& config = model_.config();
  const int64_t num_tokens = plan_.prompt_tokens;
  int64_t dropping_tokens = 0;
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const LayerPlan& layer = plan_.layers[i];
    const std::vector<int64_t> head_len(config.num_kv_heads, layer.kv_len);
    FASTKV_RETURN_IF_ERROR(cache_.layer(i).ReserveFrozen(backend_, head_len));
    if (!layer.keeps_all()) dropping_tokens = std::max(dropping_tokens, layer.tokens_in);
  }
  const int64_t layer_kv_bytes =
      config.num_kv_heads * dropping_tokens * config.head_dim * DTypeBytes(backend_.types().kv);
  FASTKV_ASSIGN_OR_RETURN(layer_keys_, backend_.Allocate(layer_kv_bytes, "one layer's keys"));
  FASTKV_ASSIGN_OR_RETURN(layer_values_, backend_.Allocate(layer_kv_bytes, "one layer's values"));
  FASTKV_ASSIGN_OR_RETURN(hidden_,
                          backend_.Allocate(4 * num_tokens * config.hidden_size, "hidden states"));
  FASTKV_ASSIGN_OR_RETURN(positions_, backend_.Allocate(4 * num_tokens, "token positions"));
  FASTKV_ASSIGN_OR_RETURN(
      cos_sin_, backend_.Allocate(4 * num_tokens * config.head_dim, "rotary embedding table"));
  FASTKV_ASSIGN_OR_RETURN(
      workspace_,
      DecoderWorkspace::Allocate(backend_, config, std::min(options_.block_tokens, num_tokens)));
  FASTKV_ASSIGN_OR_RETURN(logits_, backend_.Allocate(4 * config.vocab_size, "logits"));
  return AllocateSelection();
}

Status Prefill::AllocateSelection() {
  const ModelConfig& config = model_.config();
  int64_t observed_tokens = 0;
  int64_t kept_entries = 0;
  int64_t tokens_after_cut = 0;
  for (const LayerPlan& layer : plan_.layers) {
    if (layer.observation != Observation::kNone) {
      observed_tokens = std::max(observed_tokens, layer.tokens_in);
    }
    if (!layer.keeps_all()) kept_entries = std::max(kept_entries, layer.kv_len);
    if (layer.cuts()) tokens_after_cut = std::max(tokens_after_cut, layer.tokens_out);
  }
  if (observed_tokens > 0) {
    FASTKV_ASSIGN_OR_RETURN(scores_,
                            ObservationScratch::Allocate(backend_, shape_, observed_tokens));
    FASTKV_ASSIGN_OR_RETURN(window_queries_,
                            backend_.Allocate(plan_.window * config.num_q_heads * config.head_dim *
                                                  DTypeBytes(backend_.types().activation),
                                              "queries of the observation window"));
  }
  FASTKV_ASSIGN_OR_RETURN(kv_indices_, backend_.Allocate(4 * config.num_kv_heads * kept_entries,
                                                         "indices of kept entries"));
  FASTKV_ASSIGN_OR_RETURN(token_indices_,
                          backend_.Allocate(4 * tokens_after_cut, "indices of propagated tokens"));
  FASTKV_ASSIGN_OR_RETURN(next_hidden_, backend_.Allocate(4 * tokens_after_cut * config.hidden_size,
                                                          "hidden states after the cut"));
  FASTKV_ASSIGN_OR_RETURN(next_positions_,
                          backend_.Allocate(4 * tokens_after_cut, "positions after the cut"));
  FASTKV_ASSIGN_OR_RETURN(next_cos_sin_, backend_.Allocate(4 * tokens_after_cut * config.head_dim,
                                                           "rotary embedding table after the cut"));
  return OkStatus();
}

Status Prefill::Embed() {
  const int64_t num_tokens = plan_.prompt_tokens;
  std::vector<int32_t> positions(num_tokens);
  std::iota(positions.begin(), positions.end(), 0);
  FASTKV_RETURN_IF_ERROR(
      backend_.CopyToDevice(positions_.data(), positions.data(), 4 * num_tokens));
  FASTKV_ASSIGN_OR_RETURN(const Buffer device_ids, backend_.Allocate(4 * num_tokens, "token ids"));
  FASTKV_RETURN_IF_ERROR(backend_.CopyToDevice(device_ids.data(), ids_.data(), 4 * num_tokens));
  backend_.EmbedTokens(
      {.table = &model_.embedding(),
       .ids = static_cast<const int32_t*>(device_ids.data()),
       .out = hidden_.View(DType::kF32, {num_tokens, model_.config().hidden_size})});
  backend_.RopeTable(
      {.positions = static_cast<const int32_t*>(positions_.data()),
       .inverse_frequencies = model_.InverseFrequencies(),
       .attention_factor = model_.rope_attention_factor(),
       .cos_sin = cos_sin_.View(DType::kF32, {num_tokens, model_.config().head_dim})});
  return backend_.Synchronize();
}

void Prefill::BeginLayer() {
  block_begin_ = 0;
  const ModelConfig& config = model_.config();
  const int64_t num_tokens = layer_plan().tokens_in;
  LayerKv& kept = cache_.layer(layer_);
  if (!layer_plan().keeps_all()) {
    const DType dtype = backend_.types().kv;
    keys_ = layer_keys_.View(dtype, {config.num_kv_heads, num_tokens, config.head_dim});
    values_ = layer_values_.View(dtype, {config.num_kv_heads, num_tokens, config.head_dim});
    return;
  }
  keys_ = kept.FrozenKeys();
  values_ = kept.FrozenValues();
  const TensorView kept_positions = kept.FrozenPositions();
  for (int64_t head = 0; head < config.num_kv_heads; ++head) {
    backend_.Copy(kept_positions.Rows(head, head + 1).data(), positions_.data(), 4 * num_tokens);
  }
}

Status Prefill::Step() {
  FASTKV_CHECK(!done());
  if (options_.cancel != nullptr && options_.cancel->cancelled()) {
    return CancelledError("cancelled during prefill");
  }
  const int64_t num_tokens = layer_plan().tokens_in;
  const int64_t begin = block_begin_;
  int64_t end = std::min(num_tokens, begin + options_.block_tokens);
  const int64_t first_full_row = num_tokens - last_layer_rows_;
  const bool last_layer = layer_ == model_.config().num_layers - 1;
  if (last_layer && begin < first_full_row) end = std::min(end, first_full_row);
  FASTKV_RETURN_IF_ERROR(RunBlock(begin, end));
  done_flops_ += LayerFlops(model_.config(), layer_plan(), layer_, begin, end, last_layer_rows_);
  block_begin_ = end;
  if (end < num_tokens) return OkStatus();
  return FinishLayer();
}

Status Prefill::RunBlock(int64_t begin, int64_t end) {
  const ModelConfig& config = model_.config();
  const int64_t num_tokens = layer_plan().tokens_in;
  const LayerBlock block{
      .layer = layer_,
      .hidden = hidden_.View(DType::kF32, {num_tokens, config.hidden_size}).Rows(begin, end),
      .cos_sin = cos_sin_.View(DType::kF32, {num_tokens, config.head_dim}).Rows(begin, end),
      .keys = keys_.Slice(1, begin, end),
      .values = values_.Slice(1, begin, end)};
  if (layer_ == config.num_layers - 1 && begin < num_tokens - last_layer_rows_) {
    StoreLastLayerKeysValues(backend_, model_, workspace_, block);
    return OkStatus();
  }
  return RunDecoderLayer(
      backend_, model_, workspace_, block,
      [&](ConstTensorView queries, TensorView out) { Attend(queries, out, begin, end); },
      options_.cancel);
}

void Prefill::Attend(ConstTensorView queries, TensorView out, int64_t begin, int64_t end) {
  if (layer_plan().observation != Observation::kNone) KeepWindowQueries(queries, begin, end);
  backend_.PrefillAttention({.q = queries,
                             .keys = keys_.Slice(1, 0, end),
                             .values = values_.Slice(1, 0, end),
                             .q_start = begin,
                             .scale = model_.attention_scale(),
                             .window = model_.config().sliding_window[layer_],
                             .positions = static_cast<const int32_t*>(positions_.data()),
                             .out = out});
}

void Prefill::KeepWindowQueries(ConstTensorView queries, int64_t begin, int64_t end) {
  const int64_t window_begin = layer_plan().tokens_in - plan_.window;
  const int64_t first = std::max(begin, window_begin);
  if (first >= end) return;
  const TensorView kept =
      window_queries_.View(queries.dtype(), {plan_.window, queries.dim(1), queries.dim(2)})
          .Rows(first - window_begin, end - window_begin);
  backend_.Copy(kept.data(), queries.Rows(first - begin, end - begin).data(),
                kept.num_elements() * DTypeBytes(kept.dtype()));
}

Status Prefill::FinishLayer() {
  FASTKV_RETURN_IF_ERROR(SelectAndStore());
  FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
  ++layer_;
  if (done()) return FinishPrompt();
  BeginLayer();
  return OkStatus();
}

Status Prefill::SelectAndStore() {
  const LayerPlan& plan = layer_plan();
  if (plan.keeps_all() && !plan.cuts()) return OkStatus();
  const ModelConfig& config = model_.config();
  const auto* positions = static_cast<const int32_t*>(positions_.data());
  LayerObservation observation(backend_, shape_, scores_, plan.tokens_in - plan_.window);
  if (plan.observation != Observation::kNone) {
    backend_.WindowScores(
        {.q = window_queries_.View(backend_.types().activation,
                                   {plan_.window, config.num_q_heads, config.head_dim}),
         .keys = keys_,
         .scale = model_.attention_scale(),
         .window = config.sliding_window[layer_],
         .positions = positions,
         .out = observation.WindowScores()});
  }
  Selection selection;
  if (!plan.keeps_all()) {
    selection.kv_indices = kv_indices_.View(DType::kI32, {config.num_kv_heads, plan.kv_len});
  }
  if (plan.cuts()) {
    selection.token_indices = token_indices_.View(DType::kI32, {plan.tokens_out});
  }
  FASTKV_RETURN_IF_ERROR(method_.Select(plan_, layer_, observation, selection));
  if (!plan.keeps_all()) {
    LayerKv& kept = cache_.layer(layer_);
    backend_.GatherKv({.keys = keys_,
                       .values = values_,
                       .positions = positions,
                       .indices = selection.kv_indices,
                       .out_keys = kept.FrozenKeys(),
                       .out_values = kept.FrozenValues(),
                       .out_positions = kept.FrozenPositions()});
  }
  return plan.cuts() ? Propagate(selection.token_indices) : OkStatus();
}

Status Prefill::Propagate(ConstTensorView token_indices) {
  const ModelConfig& config = model_.config();
  const int64_t tokens_in = layer_plan().tokens_in;
  const int64_t tokens_out = layer_plan().tokens_out;
  const auto gather = [&](Buffer& from, Buffer& to, DType dtype, int64_t columns) {
    backend_.GatherRows({.x = from.View(dtype, {tokens_in, columns}),
                         .indices = token_indices.As<int32_t>(),
                         .out = to.View(dtype, {tokens_out, columns})});
  };
  gather(hidden_, next_hidden_, DType::kF32, config.hidden_size);
  gather(positions_, next_positions_, DType::kI32, 1);
  gather(cos_sin_, next_cos_sin_, DType::kF32, config.head_dim);
  FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
  hidden_ = std::move(next_hidden_);
  positions_ = std::move(next_positions_);
  cos_sin_ = std::move(next_cos_sin_);
  propagated_.emplace(tokens_out);
  return backend_.CopyToHost(propagated_->data(), positions_.data(), 4 * tokens_out);
}

Status Prefill::FinishPrompt() {
  const ModelConfig& config = model_.config();
  const int64_t num_tokens = plan_.layers.back().tokens_in;
  const ConstTensorView hidden =
      hidden_.View(DType::kF32, {num_tokens, config.hidden_size}).Rows(num_tokens - 1, num_tokens);
  RunHead(backend_, model_, workspace_, hidden, logits_.View(DType::kF32, {1, config.vocab_size}));
  cache_.set_next_position(plan_.prompt_tokens);
  if (options_.score_prompt && plan_.prompt_tokens > 1) FASTKV_RETURN_IF_ERROR(ScorePrompt());
  done_flops_ = total_flops_;
  layer_keys_.Reset();
  layer_values_.Reset();
  hidden_.Reset();
  cos_sin_.Reset();
  return backend_.Synchronize();
}

Status Prefill::ScorePrompt() {
  const ModelConfig& config = model_.config();
  const int64_t num_scored = plan_.prompt_tokens - 1;
  const int64_t max_rows = std::min({kScoreBlockTokens, num_scored, workspace_.max_tokens()});
  FASTKV_ASSIGN_OR_RETURN(const Buffer logits,
                          backend_.Allocate(4 * max_rows * config.vocab_size, "prompt logits"));
  FASTKV_ASSIGN_OR_RETURN(const Buffer targets, backend_.Allocate(4 * max_rows, "target ids"));
  FASTKV_ASSIGN_OR_RETURN(const Buffer scores,
                          backend_.Allocate(4 * max_rows, "log probabilities"));
  const TensorView hidden = hidden_.View(DType::kF32, {plan_.prompt_tokens, config.hidden_size});
  std::vector<float> host_scores(max_rows);
  double sum = 0;
  for (int64_t begin = 0; begin < num_scored; begin += max_rows) {
    const int64_t end = std::min(num_scored, begin + max_rows);
    const int64_t rows = end - begin;
    const TensorView block_logits = logits.View(DType::kF32, {rows, config.vocab_size});
    RunHead(backend_, model_, workspace_, hidden.Rows(begin, end), block_logits);
    FASTKV_RETURN_IF_ERROR(
        backend_.CopyToDevice(targets.data(), ids_.data() + begin + 1, 4 * rows));
    backend_.TargetLogProbs({.logits = block_logits,
                             .targets = static_cast<const int32_t*>(targets.data()),
                             .out = scores.View(DType::kF32, {rows})});
    FASTKV_RETURN_IF_ERROR(backend_.CopyToHost(host_scores.data(), scores.data(), 4 * rows));
    for (int64_t i = 0; i < rows; ++i) sum += host_scores[i];
  }
  mean_logprob_ = sum / static_cast<double>(num_scored);
  return OkStatus();
}

PrefillProgress Prefill::progress() const {
  return {.layer = layer_,
          .num_layers = model_.config().num_layers,
          .tokens_in_layer = done() ? 0 : layer_plan().tokens_in,
          .done_flops = done_flops_,
          .total_flops = total_flops_};
}

}  // namespace fastkv
