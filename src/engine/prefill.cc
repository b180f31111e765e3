#include "engine/prefill.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "base/checked_math.h"
#include "engine/entry_store.h"
#include "engine/plan_cost.h"
#include "method/protected_tokens.h"

namespace fastkv {
namespace {

constexpr int64_t kMinBlockTokens = 256;
constexpr int64_t kBlockStepTokens = 64;
// Rows of logits that prompt scoring holds at a time.
constexpr int64_t kScoreBlockTokens = 64;

Status CheckCancelled(const CancelFlag* cancel) {
  if (cancel != nullptr && cancel->cancelled()) return CancelledError("cancelled during prefill");
  return OkStatus();
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

Prefill::Prefill(Backend& backend, const DecoderModel& model, PrefillMembers members,
                 const PrefillOptions& options)
    : backend_(backend),
      model_(model),
      members_(std::move(members)),
      plan_(members_.CommonPlan()),
      options_(options),
      selecting_(!plan_.selection_pass.empty()) {
  if (options_.block_tokens <= 0) {
    options_.block_tokens = DefaultBlockTokens(backend.info(), model.config());
  }
  total_flops_ = PrefillFlops(model.config(), plan_, LastRows());
}

int64_t Prefill::LastRows() const {
  return options_.score_prompt ? plan_.layers.back().tokens_in : LastLayerRows(plan_);
}

Result<std::unique_ptr<Prefill>> Prefill::Start(Backend& backend, const DecoderModel& model,
                                                const Method& method, std::span<const int32_t> ids,
                                                const PrefillOptions& options) {
  const Method* const methods[] = {&method};
  return Start(backend, model, methods, ids, options);
}

Result<std::unique_ptr<Prefill>> Prefill::Start(Backend& backend, const DecoderModel& model,
                                                std::span<const Method* const> methods,
                                                std::span<const int32_t> ids,
                                                const PrefillOptions& options) {
  FASTKV_RETURN_IF_ERROR(CheckPromptIds(ids, model.config()));
  FASTKV_ASSIGN_OR_RETURN(
      PrefillMembers members,
      PrefillMembers::Plan(backend, model.config(), methods, static_cast<int64_t>(ids.size())));
  std::unique_ptr<Prefill> prefill(new Prefill(backend, model, std::move(members), options));
  prefill->ids_.assign(ids.begin(), ids.end());
  FASTKV_RETURN_IF_ERROR(prefill->AllocateMemory());
  FASTKV_RETURN_IF_ERROR(prefill->stream_->Embed(ids));
  if (prefill->plan_.renumbers && !prefill->selecting_) {
    prefill->propagated_.emplace(ids.size());
    std::iota(prefill->propagated_->begin(), prefill->propagated_->end(), 0);
  }
  prefill->BeginLayer();
  return prefill;
}

Status Prefill::AllocateMemory() {
  const ModelConfig& config = model_.config();
  const PrefillSizes sizes =
      SizesOf(plan_, config.num_kv_heads, backend_.types(), options_.block_tokens);
  FASTKV_RETURN_IF_ERROR(members_.Allocate(options_.block_tokens));
  if (plan_.eviction.has_value()) {
    FASTKV_RETURN_IF_ERROR(members_[0].cache.ReserveTail(plan_.eviction->recent_rows));
    FASTKV_ASSIGN_OR_RETURN(eviction_, TailEviction::Create(backend_, model_, plan_));
  }
  const int64_t layer_kv_bytes =
      config.num_kv_heads * sizes.layer_tokens * config.head_dim * DTypeBytes(backend_.types().kv);
  FASTKV_ASSIGN_OR_RETURN(layer_keys_, backend_.Allocate(layer_kv_bytes, "one layer's keys"));
  FASTKV_ASSIGN_OR_RETURN(layer_values_, backend_.Allocate(layer_kv_bytes, "one layer's values"));
  FASTKV_ASSIGN_OR_RETURN(
      stream_, TokenStream::Allocate(backend_, model_, plan_.prompt_tokens, sizes.cut_tokens));
  FASTKV_ASSIGN_OR_RETURN(
      workspace_, DecoderWorkspace::Allocate(backend_, config,
                                             std::min(options_.block_tokens, plan_.prompt_tokens)));
  FASTKV_ASSIGN_OR_RETURN(logits_, backend_.Allocate(4 * config.vocab_size, "logits"));
  FASTKV_ASSIGN_OR_RETURN(recorder_, ObservationRecorder::Allocate(backend_, model_, plan_));
  FASTKV_ASSIGN_OR_RETURN(log_sum_exp_,
                          backend_.Allocate(4 * config.num_q_heads * sizes.log_sum_exp_rows,
                                            "normalisers of a block's attention"));
  return OkStatus();
}

void Prefill::BeginLayer() {
  block_begin_ = 0;
  stage_ = Stage::kLayer;
  const ModelConfig& config = model_.config();
  const int64_t num_tokens = layer_plan().tokens_in;
  FASTKV_CHECK_EQ(num_tokens, stream_->num_tokens());
  recorder_->BeginLayer(layer_plan(), layer_);
  LayerKv* const kept = selecting_ ? nullptr : members_.StoreInPlace(layer_);
  if (kept == nullptr) {
    const DType dtype = backend_.types().kv;
    keys_ = layer_keys_.View(dtype, {config.num_kv_heads, num_tokens, config.head_dim});
    values_ = layer_values_.View(dtype, {config.num_kv_heads, num_tokens, config.head_dim});
    return;
  }
  const KvEntries frozen = kept->Frozen();
  keys_ = frozen.keys;
  values_ = frozen.values;
  for (int64_t head = 0; head < config.num_kv_heads; ++head) {
    backend_.Copy(frozen.positions.Rows(head, head + 1).data(), stream_->positions(),
                  4 * num_tokens);
  }
}

std::pair<int64_t, int64_t> Prefill::RowKinds() const {
  if (selecting_) {
    const bool last = layer_ + 1 == static_cast<int64_t>(plan_.selection_pass.size());
    return {0, last ? layer_plan().tokens_in : 0};
  }
  const LayerRows rows = RowsOfLayer(model_.config(), layer_plan(), layer_, LastRows());
  return {rows.keys_only, rows.keys_only + rows.queries_only};
}

Status Prefill::Step() {
  FASTKV_CHECK(!done());
  FASTKV_RETURN_IF_ERROR(CheckCancelled(options_.cancel));
  const int64_t num_tokens = stream_->num_tokens();
  const int64_t begin = block_begin_;
  int64_t end = std::min(num_tokens, begin + options_.block_tokens);
  if (stage_ == Stage::kMlp) {
    FASTKV_RETURN_IF_ERROR(RunMlp(backend_, model_, workspace_, layer_,
                                  stream_->Hidden().Rows(begin, end), options_.cancel));
  } else {
    const auto [keys_only, queries_only] = RowKinds();
    if (begin < keys_only) end = std::min(end, keys_only);
    if (begin < queries_only) end = std::min(end, queries_only);
    FASTKV_RETURN_IF_ERROR(RunBlock(begin, end));
  }
  done_flops_ += BlockFlops(begin, end);
  block_begin_ = end;
  return end < num_tokens ? OkStatus() : FinishBlocks();
}

double Prefill::BlockFlops(int64_t begin, int64_t end) const {
  const ModelConfig& config = model_.config();
  if (stage_ == Stage::kMlp) return MlpFlops(config, end - begin);
  if (selecting_) {
    return begin < RowKinds().second
               ? QkvFlops(config, end - begin)
               : LayerFlops(config, layer_plan(), layer_, begin, end, layer_plan().tokens_in);
  }
  const double flops = LayerFlops(config, layer_plan(), layer_, begin, end, LastRows());
  return CutsBeforeMlp() ? flops - MlpFlops(config, end - begin) : flops;
}

Status Prefill::RunBlock(int64_t begin, int64_t end) {
  const LayerBlock block{.layer = layer_,
                         .hidden = stream_->Hidden().Rows(begin, end),
                         .cos_sin = stream_->CosSin().Rows(begin, end),
                         .keys = keys_.Slice(1, begin, end),
                         .values = values_.Slice(1, begin, end)};
  const auto [keys_only, queries_only] = RowKinds();
  if (begin < keys_only) {
    StoreLastLayerKeysValues(backend_, model_, workspace_, block);
    return OkStatus();
  }
  const int64_t num_tokens = end - begin;
  ProjectQkv(backend_, model_, workspace_, block);
  recorder_->RecordProjection(workspace_.Qkv(num_tokens), begin);
  StoreProjection(backend_, model_, workspace_, block);
  recorder_->RecordQueries(workspace_.Queries(num_tokens), begin);
  if (begin < queries_only) return OkStatus();
  FASTKV_RETURN_IF_ERROR(CheckCancelled(options_.cancel));
  Attend(begin, end);
  FASTKV_RETURN_IF_ERROR(CheckCancelled(options_.cancel));
  AddAttention(backend_, model_, workspace_, block);
  if (CutsBeforeMlp()) return OkStatus();
  return RunMlp(backend_, model_, workspace_, layer_, block.hidden, options_.cancel);
}

void Prefill::Attend(int64_t begin, int64_t end) {
  const ModelConfig& config = model_.config();
  const int64_t num_tokens = end - begin;
  const bool is_recent =
      eviction_.has_value() && end > layer_plan().tokens_in - plan_.eviction->recent_rows;
  TensorView log_sum_exp;
  if (is_recent || recorder_->WantsAttention(end)) {
    log_sum_exp = log_sum_exp_.View(DType::kF32, {num_tokens, config.num_q_heads});
  }
  const AttendedRows rows{.queries = workspace_.Queries(num_tokens),
                          .keys = keys_.Slice(1, 0, end),
                          .log_sum_exp = log_sum_exp,
                          .begin = begin,
                          .positions = stream_->positions()};
  backend_.PrefillAttention({.q = rows.queries,
                             .keys = rows.keys,
                             .values = values_.Slice(1, 0, end),
                             .q_start = begin,
                             .scale = model_.attention_scale(),
                             .window = config.sliding_window[layer_],
                             .positions = stream_->positions(),
                             .out = workspace_.Attention(num_tokens),
                             .log_sum_exp = log_sum_exp});
  if (recorder_->WantsAttention(end)) recorder_->RecordAttention(rows);
  if (is_recent) eviction_->RecordPrompt(layer_, layer_plan().tokens_in, rows);
}

Status Prefill::FinishBlocks() {
  if (stage_ == Stage::kLayer) {
    const bool mlp_follows = CutsBeforeMlp();
    FASTKV_RETURN_IF_ERROR(SelectAndStore());
    if (mlp_follows) {
      stage_ = Stage::kMlp;
      block_begin_ = 0;
      return OkStatus();
    }
  }
  FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
  ++layer_;
  if (selecting_ && layer_ == static_cast<int64_t>(plan_.selection_pass.size())) {
    return BeginSecondPass();
  }
  if (done()) return FinishPrompt();
  BeginLayer();
  return OkStatus();
}

Status Prefill::SelectAndStore() {
  const LayerPlan plan = layer_plan();
  const LayerEntries entries{.keys = keys_, .values = values_, .positions = stream_->positions()};
  if (eviction_.has_value()) {
    StoreSplit(backend_, entries, plan_.eviction->recent_rows, members_[0].cache.layer(layer_));
  }
  LayerInputs inputs = recorder_->Inputs();
  inputs.prompt_tokens = plan_.prompt_tokens;
  inputs.keys = keys_;
  inputs.values = values_;
  inputs.positions = stream_->positions();
  inputs.protected_tokens = ReceivedIndices(plan_.protected_tokens, stream_->host_positions());
  FASTKV_ASSIGN_OR_RETURN(
      const Selection selection,
      members_.SelectAndStore(layer_, selecting_, entries, inputs, recorder_->scratch()));
  if (selecting_) return OkStatus();
  if (plan.cut_is_open) FASTKV_RETURN_IF_ERROR(Replan(selection.tokens_out));
  return selection.tokens_out < plan.tokens_in ? Propagate(selection) : OkStatus();
}

Status Prefill::Replan(int64_t tokens_out) {
  decided_.push_back({.layer = layer_, .tokens_out = tokens_out});
  PrefillMember& member = members_[0];
  FASTKV_ASSIGN_OR_RETURN(PrefillPlan plan, member.method->Plan(plan_.prompt_tokens, decided_));
  std::swap(plan, plan_);
  member.plan = plan_;
  for (int64_t i = layer_ + 1; i < model_.config().num_layers; ++i) {
    FASTKV_CHECK_LE(plan_.layers[i].kv_len, plan.layers[i].kv_len);
    if (plan_.layers[i].kv_len == plan.layers[i].kv_len) continue;
    FASTKV_RETURN_IF_ERROR(ReserveEntries(backend_, plan_, i, member.cache));
  }
  FASTKV_CHECK_EQ(layer_plan().tokens_out, tokens_out);
  total_flops_ = PrefillFlops(model_.config(), plan_, LastRows());
  return OkStatus();
}

Status Prefill::Propagate(const Selection& selection) {
  const bool final = std::none_of(plan_.layers.begin() + layer_ + 1, plan_.layers.end(),
                                  [](const LayerPlan& layer) { return layer.may_cut(); });
  FASTKV_RETURN_IF_ERROR(
      stream_->Keep(selection.token_indices.As<int32_t>(), selection.tokens_out, final));
  if (plan_.falls_gradually) return OkStatus();
  const std::span<const int32_t> positions = stream_->host_positions();
  propagated_.emplace(positions.begin(), positions.end());
  return OkStatus();
}

Status Prefill::BeginSecondPass() {
  const int64_t kept = plan_.layers.front().tokens_in;
  propagated_.emplace(kept);
  FASTKV_RETURN_IF_ERROR(
      backend_.CopyToHost(propagated_->data(), members_.token_indices(), 4 * kept));
  std::vector<int32_t> kept_ids(kept);
  for (int64_t i = 0; i < kept; ++i) kept_ids[i] = ids_[(*propagated_)[i]];
  FASTKV_RETURN_IF_ERROR(stream_->Embed(kept_ids));
  selecting_ = false;
  layer_ = 0;
  BeginLayer();
  return OkStatus();
}

Status Prefill::FinishPrompt() {
  const ModelConfig& config = model_.config();
  const int64_t num_tokens = stream_->num_tokens();
  RunHead(backend_, model_, workspace_, stream_->Hidden().Rows(num_tokens - 1, num_tokens),
          logits_.View(DType::kF32, {1, config.vocab_size}));
  for (int64_t i = 0; i < members_.size(); ++i) {
    members_[i].cache.set_next_position(plan_.next_position());
  }
  if (options_.score_prompt && num_tokens == plan_.prompt_tokens && num_tokens > 1) {
    FASTKV_RETURN_IF_ERROR(ScorePrompt());
  }
  done_flops_ = total_flops_;
  FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
  layer_keys_.Reset();
  layer_values_.Reset();
  stream_.reset();
  return OkStatus();
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
  std::vector<float> host_scores(max_rows);
  double sum = 0;
  for (int64_t begin = 0; begin < num_scored; begin += max_rows) {
    const int64_t end = std::min(num_scored, begin + max_rows);
    const int64_t rows = end - begin;
    const TensorView block_logits = logits.View(DType::kF32, {rows, config.vocab_size});
    RunHead(backend_, model_, workspace_, stream_->Hidden().Rows(begin, end), block_logits);
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
  const auto first_pass = static_cast<int64_t>(plan_.selection_pass.size());
  return {.layer = selecting_ ? layer_ : first_pass + layer_,
          .num_layers = first_pass + model_.config().num_layers,
          .tokens_in_layer = done() ? 0 : layer_plan().tokens_in,
          .done_flops = done_flops_,
          .total_flops = total_flops_};
}

}  // namespace fastkv
