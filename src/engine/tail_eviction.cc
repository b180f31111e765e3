#include "engine/tail_eviction.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/checked_math.h"

namespace fastkv {
namespace {

// Entries that may be undecided at once, in whole groups, twice over: when the memory is used up,
// one half moves to the other without overlap.
int64_t NumSlots(const EvictionPlan& plan) {
  return 2 * (RoundUp(plan.recent_rows, plan.step_tokens) + 2 * plan.step_tokens);
}

int64_t NumberedRows(const EvictionPlan& plan) {
  return std::max(plan.recent_rows, plan.step_tokens);
}

}  // namespace

Result<TailEviction> TailEviction::Create(Backend& backend, const DecoderModel& model,
                                          const PrefillPlan& plan) {
  TailEviction eviction(backend, model, *plan.eviction);
  const int64_t first_position = plan.prompt_tokens - plan.eviction->recent_rows;
  for (const PromptSpan& span : plan.protected_tokens) {
    const int64_t begin = std::max<int64_t>(0, span.begin - first_position);
    if (begin < span.end - first_position) {
      eviction.protected_entries_.push_back({begin, span.end - first_position});
    }
  }
  FASTKV_RETURN_IF_ERROR(eviction.AllocateMemory());
  std::vector<float> numbers(plan.eviction->recent_rows);
  std::iota(numbers.begin(), numbers.end(), 0.0F);
  FASTKV_RETURN_IF_ERROR(backend.CopyToDevice(eviction.row_numbers_.data(), numbers.data(),
                                              4 * plan.eviction->recent_rows));
  const int64_t num_rows = 2 * model.config().num_layers * model.config().num_kv_heads;
  eviction.Clear(eviction.sums_.View(DType::kF32, {num_rows, eviction.slots_}), 0, eviction.slots_);
  eviction.num_rows_ = plan.eviction->recent_rows;
  return eviction;
}

Status TailEviction::AllocateMemory() {
  const ModelConfig& config = model_->config();
  slots_ = NumSlots(plan_);
  const int64_t layers = config.num_layers;
  FASTKV_ASSIGN_OR_RETURN(sums_, backend_->Allocate(4 * layers * 2 * config.num_kv_heads * slots_,
                                                    "attention sums of recent entries"));
  FASTKV_ASSIGN_OR_RETURN(group_sums_, backend_->Allocate(4 * layers * 2 * plan_.step_tokens,
                                                          "attention sums of recent entries"));
  FASTKV_ASSIGN_OR_RETURN(
      pending_queries_,
      backend_->Allocate(layers * plan_.step_tokens * config.num_q_heads * config.head_dim *
                             DTypeBytes(backend_->types().activation),
                         "queries of new tokens"));
  FASTKV_ASSIGN_OR_RETURN(pending_log_sum_exp_,
                          backend_->Allocate(4 * layers * plan_.step_tokens * config.num_q_heads,
                                             "attention normalisers of new tokens"));
  FASTKV_ASSIGN_OR_RETURN(row_numbers_, backend_->Allocate(4 * NumberedRows(plan_), "row numbers"));
  return OkStatus();
}

int64_t TailEviction::NumBytes(const ModelConfig& config, const ComputeTypes& types,
                               const EvictionPlan& plan) {
  const int64_t step = plan.step_tokens;
  return config.num_layers *
             (4 * 2 * config.num_kv_heads * NumSlots(plan) + 4 * 2 * step +
              step * config.num_q_heads * (config.head_dim * DTypeBytes(types.activation) + 4)) +
         4 * NumberedRows(plan);
}

TensorView TailEviction::SumsOf(int64_t layer) const {
  const int64_t rows = 2 * model_->config().num_kv_heads;
  return sums_.View(DType::kF32, {model_->config().num_layers * rows, slots_})
      .Rows(layer * rows, (layer + 1) * rows);
}

TensorView TailEviction::PendingQueries(int64_t layer) const {
  const ModelConfig& config = model_->config();
  const int64_t rows = config.num_layers * plan_.step_tokens;
  return pending_queries_
      .View(backend_->types().activation, {rows, config.num_q_heads, config.head_dim})
      .Rows(layer * plan_.step_tokens, (layer + 1) * plan_.step_tokens);
}

TensorView TailEviction::PendingLogSumExp(int64_t layer) const {
  const ModelConfig& config = model_->config();
  return pending_log_sum_exp_
      .View(DType::kF32, {config.num_layers * plan_.step_tokens, config.num_q_heads})
      .Rows(layer * plan_.step_tokens, (layer + 1) * plan_.step_tokens);
}

void TailEviction::Add(const Rows& rows, int64_t begin, int64_t end, ConstTensorView keys,
                       const int32_t* positions) {
  if (begin >= end) return;
  const int64_t num_kv_heads = model_->config().num_kv_heads;
  const TensorView sums = SumsOf(rows.layer).Slice(1, begin - slot_base_, end - slot_base_);
  ColumnScoresParams params{.q = rows.queries,
                            .keys = keys.Slice(1, 0, end - begin),
                            .q_start = rows.first - begin,
                            .scale = model_->attention_scale(),
                            .window = model_->config().sliding_window[rows.layer],
                            .positions = positions,
                            .log_sum_exp = rows.log_sum_exp,
                            .out = sums.Rows(0, num_kv_heads)};
  backend_->ColumnScores(params);
  params.row_weights = rows.numbers;
  params.out = sums.Rows(num_kv_heads, 2 * num_kv_heads);
  backend_->ColumnScores(params);
}

void TailEviction::AddGroupRows(const Rows& rows, int64_t begin, ConstTensorView keys,
                                const int32_t* positions) {
  const int64_t end = rows.first + rows.queries.dim(0);
  const bool sliding = model_->config().sliding_window[rows.layer] > 0;
  // What a row of a sliding window sees goes by its own entry's position, so that its own group is
  // taken in as well, and forgotten once the group is complete.
  Add(rows, begin, sliding ? end : GroupBegin(rows.first), keys, positions);
  if (sliding && end % plan_.step_tokens == 0) {
    Clear(SumsOf(rows.layer), GroupBegin(rows.first), end);
  }
}

void TailEviction::Clear(const TensorView& sums, int64_t begin, int64_t end) {
  const std::vector<ColumnSpan> span = {{begin - slot_base_, end - slot_base_}};
  backend_->FillColumns({.scores = sums, .spans = span, .value = 0});
}

void TailEviction::RecordPrompt(int64_t layer, int64_t tokens, const AttendedRows& rows) {
  const int64_t tail_begin = tokens - plan_.recent_rows;
  const int64_t first = std::max<int64_t>(0, rows.begin - tail_begin);
  const int64_t end = rows.begin + rows.queries.dim(0) - tail_begin;
  if (first >= end) return;
  const int64_t skipped = tail_begin + first - rows.begin;
  const auto part = [&](int64_t from, int64_t to) {
    return Rows{.layer = layer,
                .first = from,
                .queries = rows.queries.Rows(skipped + from - first, skipped + to - first),
                .log_sum_exp = rows.log_sum_exp.Rows(skipped + from - first, skipped + to - first),
                .numbers = row_numbers_.View(DType::kF32, {plan_.recent_rows}).Rows(from, to)};
  };
  const auto keys_from = [&](int64_t entry) {
    return rows.keys.Slice(1, tail_begin + entry, rows.keys.dim(1));
  };
  // Everything older than the block's groups at once, then group by group inside the block.
  int64_t begin = 0;
  if (model_->config().sliding_window[layer] == 0) {
    begin = GroupBegin(first);
    Add(part(first, end), 0, begin, keys_from(0), nullptr);
  }
  for (int64_t from = first; from < end;) {
    const int64_t to = std::min(end, GroupBegin(from) + plan_.step_tokens);
    AddGroupRows(part(from, to), begin, keys_from(begin), rows.positions + tail_begin + begin);
    from = to;
  }
}

Status TailEviction::ReserveForToken(KvCache& cache) {
  if (!GroupHasLeft(num_rows_ + 1)) return OkStatus();
  const int64_t num_bytes = 4 * model_->config().num_layers * cache.tail_len();
  if (kept_indices_.num_bytes() < num_bytes) {
    FASTKV_ASSIGN_OR_RETURN(kept_indices_,
                            backend_->Allocate(2 * num_bytes, "indices of kept entries"));
  }
  return cache.ReserveSpare();
}

TensorView TailEviction::LogSumExp(int64_t layer) const {
  return PendingLogSumExp(layer).Rows(num_pending_, num_pending_ + 1);
}

void TailEviction::RecordToken(int64_t layer, ConstTensorView queries) {
  const TensorView pending = PendingQueries(layer).Rows(num_pending_, num_pending_ + 1);
  backend_->Copy(pending.data(), queries.data(),
                 pending.num_elements() * DTypeBytes(pending.dtype()));
}

Status TailEviction::FinishToken(KvCache& cache) {
  ++num_pending_;
  ++num_rows_;
  const bool group_is_complete = num_rows_ % plan_.step_tokens == 0;
  if (!group_is_complete && !GroupHasLeft(num_rows_)) return OkStatus();
  MakeRoom();
  FASTKV_RETURN_IF_ERROR(AddPending(cache));
  return GroupHasLeft(num_rows_) ? Evict(cache) : OkStatus();
}

Status TailEviction::AddPending(const KvCache& cache) {
  const int64_t first = num_rows_ - num_pending_;
  std::vector<float> numbers(num_pending_);
  std::iota(numbers.begin(), numbers.end(), static_cast<float>(first));
  FASTKV_RETURN_IF_ERROR(
      backend_->CopyToDevice(row_numbers_.data(), numbers.data(), 4 * num_pending_));
  for (int64_t layer = 0; layer < model_->config().num_layers; ++layer) {
    const KvLayerView view = cache.layer(layer).View(cache.tail_len());
    const int64_t begin = oldest_ - num_dropped_;
    AddGroupRows({.layer = layer,
                  .first = first,
                  .queries = PendingQueries(layer).Rows(0, num_pending_),
                  .log_sum_exp = PendingLogSumExp(layer).Rows(0, num_pending_),
                  .numbers = row_numbers_.View(DType::kF32, {num_pending_})},
                 oldest_, view.tail_keys.Slice(1, begin, cache.tail_len()),
                 view.tail_positions + begin);
  }
  num_pending_ = 0;
  return OkStatus();
}

void TailEviction::MakeRoom() {
  const int64_t used_end = GroupBegin(num_rows_ - 1) + plan_.step_tokens;
  if (used_end - slot_base_ <= slots_) return;
  const int64_t num_rows = 2 * model_->config().num_layers * model_->config().num_kv_heads;
  const TensorView all = sums_.View(DType::kF32, {num_rows, slots_});
  const int64_t begin = oldest_ - slot_base_;
  const int64_t held = std::min(slots_ - begin, num_rows_ - oldest_);
  FASTKV_CHECK_LE(held, begin);
  // Pooling over one column copies it.
  backend_->PoolScores({.scores = all.Slice(1, begin, begin + held),
                        .kernel = 1,
                        .kind = PoolingKind::kMax,
                        .out = all.Slice(1, 0, held)});
  slot_base_ = oldest_;
  Clear(all, slot_base_ + held, slot_base_ + slots_);
}

std::vector<int64_t> TailEviction::KeptOfGroup(const float* sums) const {
  const int64_t step = plan_.step_tokens;
  const int64_t oldest_row = num_rows_ - plan_.recent_rows;
  const double slope = plan_.recent_rows < 2 ? 0
                                             : (plan_.last_row_weight - 1.0) /
                                                   static_cast<double>(plan_.recent_rows - 1);
  struct Candidate {
    int64_t entry;
    bool is_protected;
    double score;
  };
  std::vector<Candidate> candidates;
  int64_t num_protected = 0;
  for (int64_t j = 0; j < step; ++j) {
    const int64_t entry = oldest_ + j;
    const bool is_protected = std::any_of(
        protected_entries_.begin(), protected_entries_.end(),
        [&](const ColumnSpan& span) { return span.begin <= entry && entry < span.end; });
    num_protected += is_protected ? 1 : 0;
    const double plain = sums[j];
    const double numbered = sums[step + j];
    const double score = plain + slope * (numbered - static_cast<double>(oldest_row) * plain);
    candidates.push_back({entry, is_protected, std::isnan(score) ? 0 : score});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.is_protected != b.is_protected) return a.is_protected;
    return a.score != b.score ? a.score > b.score : a.entry < b.entry;
  });
  candidates.resize(std::max(plan_.kept_tokens, num_protected));
  std::vector<int64_t> kept;
  for (const Candidate& candidate : candidates) kept.push_back(candidate.entry);
  std::sort(kept.begin(), kept.end());
  return kept;
}

Status TailEviction::Evict(KvCache& cache) {
  const ModelConfig& config = model_->config();
  const int64_t step = plan_.step_tokens;
  const TensorView group_sums = group_sums_.View(DType::kF32, {2 * config.num_layers, step});
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    backend_->ReduceRows(
        {.scores = SumsOf(layer).Slice(1, oldest_ - slot_base_, oldest_ - slot_base_ + step),
         .kind = ReductionKind::kSum,
         .out = group_sums.Rows(2 * layer, 2 * layer + 2)});
  }
  std::vector<float> host_sums(group_sums.num_elements());
  FASTKV_RETURN_IF_ERROR(
      backend_->CopyToHost(host_sums.data(), group_sums.data(), group_sums_.num_bytes()));
  // In the tail: what is decided, the kept of the group, and what is still recent.
  const int64_t group_begin = oldest_ - num_dropped_;
  std::vector<int32_t> indices;
  int64_t num_kept = 0;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const std::vector<int64_t> kept = KeptOfGroup(&host_sums[layer * 2 * step]);
    num_kept = static_cast<int64_t>(kept.size());
    for (int64_t i = 0; i < group_begin; ++i) indices.push_back(static_cast<int32_t>(i));
    for (const int64_t entry : kept) indices.push_back(static_cast<int32_t>(entry - num_dropped_));
    for (int64_t i = group_begin + step; i < cache.tail_len(); ++i) {
      indices.push_back(static_cast<int32_t>(i));
    }
  }
  const int64_t new_len = cache.tail_len() - (step - num_kept);
  const auto num_bytes = static_cast<int64_t>(indices.size() * sizeof(int32_t));
  FASTKV_RETURN_IF_ERROR(backend_->CopyToDevice(kept_indices_.data(), indices.data(), num_bytes));
  cache.KeepTail(kept_indices_.View(DType::kI32, {config.num_layers, new_len}));
  oldest_ += step;
  num_dropped_ += step - num_kept;
  return backend_->Synchronize();
}

Result<TailEviction> TailEviction::Fork() const {
  TailEviction fork(*backend_, *model_, plan_);
  FASTKV_RETURN_IF_ERROR(fork.AllocateMemory());
  const auto copy = [&](const Buffer& from, const Buffer& to) {
    backend_->Copy(to.data(), from.data(), from.num_bytes());
  };
  copy(sums_, fork.sums_);
  copy(pending_queries_, fork.pending_queries_);
  copy(pending_log_sum_exp_, fork.pending_log_sum_exp_);
  fork.protected_entries_ = protected_entries_;
  fork.num_rows_ = num_rows_;
  fork.num_pending_ = num_pending_;
  fork.oldest_ = oldest_;
  fork.slot_base_ = slot_base_;
  fork.num_dropped_ = num_dropped_;
  return fork;
}

}  // namespace fastkv
