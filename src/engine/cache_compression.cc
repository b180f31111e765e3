#include "engine/cache_compression.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "engine/model_shape.h"
#include "method/protected_tokens.h"
#include "method/retention_rule.h"
#include "model/decoder_layer.h"
#include "model/rope_frequencies.h"

namespace fastkv {
namespace {

std::vector<int64_t> HeadLens(const KvCache& cache, int64_t layer) {
  std::vector<int64_t> lens(cache.geometry().num_kv_heads);
  for (size_t head = 0; head < lens.size(); ++head) {
    lens[head] = cache.layer(layer).FrozenLen(static_cast<int64_t>(head)) + cache.tail_len();
  }
  return lens;
}

int64_t Sum(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

class CacheCompressor {
 public:
  CacheCompressor(Backend& backend, const DecoderModel& model, const CacheCompressionParams& params,
                  KvCache& cache)
      : backend_(backend),
        model_(model),
        params_(params),
        rule_(*params.budget.rule),
        cache_(cache),
        whole_(cache.geometry()),
        frequencies_(ComputeRopeFrequencies(model.config().rope, model.config().head_dim)) {}

  Status Run() {
    MakePlans();
    FASTKV_RETURN_IF_ERROR(AllocateMemory());
    for (size_t layer = 0; layer < plans_.size(); ++layer) {
      if (plans_[layer].keeps_all()) {
        KeepAll(static_cast<int64_t>(layer));
      } else {
        FASTKV_RETURN_IF_ERROR(Reduce(static_cast<int64_t>(layer)));
      }
    }
    FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
    cache_.Replace(std::move(kept_));
    return OkStatus();
  }

 private:
  const ModelConfig& config() const { return model_.config(); }
  bool has_integers() const { return cache_.geometry().int8_frozen; }

  // A layer's tokens_in is the number of entries of its fullest head.
  void MakePlans() {
    for (int64_t layer = 0; layer < config().num_layers; ++layer) {
      const std::vector<int64_t> lens = HeadLens(cache_, layer);
      const int64_t tokens = *std::max_element(lens.begin(), lens.end());
      const int64_t budget = params_.budget.kv_len[layer];
      LayerPlan plan{.tokens_in = tokens, .kv_len = tokens, .tokens_out = tokens};
      if (Sum(lens) > config().num_kv_heads * budget) {
        plan.kv_len = budget;
        plan.unequal_heads = rule_.UnequalHeads();
        plan.observation = rule_.Wanted(tokens);
        FASTKV_CHECK(plan.unequal_heads || Sum(lens) == config().num_kv_heads * tokens);
        max_tokens_ = std::max(max_tokens_, tokens);
        max_entries_ = std::max(max_entries_, plan.MaxEntries(config().num_kv_heads));
        query_rows_ = std::max(query_rows_, plan.observation.query_rows);
        sums_columns_ = sums_columns_ || !plan.observation.column_sums.empty();
        wants_moments_ = wants_moments_ || plan.observation.query_moments;
      }
      plans_.push_back(std::move(plan));
    }
    if (params_.observer != nullptr) {
      last_rows_ = std::min(params_.observer->num_rows(), cache_.tail_len());
    }
    if (sums_columns_ || wants_moments_) query_rows_ = std::max(query_rows_, last_rows_);
  }

  Status AllocateMemory() {
    const int64_t heads = config().num_kv_heads;
    for (int64_t layer = 0; layer < config().num_layers; ++layer) {
      const LayerPlan& plan = plans_[layer];
      LayerKv kept(cache_.geometry());
      if (plan.unequal_heads) {
        FASTKV_RETURN_IF_ERROR(kept.ReserveFrozenEntries(backend_, plan.MaxEntries(heads)));
      } else {
        const std::vector<int64_t> lens =
            plan.keeps_all() ? HeadLens(cache_, layer) : std::vector<int64_t>(heads, plan.kv_len);
        FASTKV_RETURN_IF_ERROR(kept.ReserveFrozen(backend_, lens));
      }
      kept_.push_back(std::move(kept));
    }
    if (has_integers()) {
      FASTKV_RETURN_IF_ERROR(whole_.ReserveFrozenEntries(backend_, heads * max_tokens_));
    }
    const int64_t vector_bytes = config().head_dim * DTypeBytes(backend_.types().kv);
    const int64_t query_bytes =
        config().num_q_heads * config().head_dim * DTypeBytes(backend_.types().activation);
    FASTKV_ASSIGN_OR_RETURN(
        keys_, backend_.Allocate(heads * max_tokens_ * vector_bytes, "one layer's keys"));
    FASTKV_ASSIGN_OR_RETURN(
        values_, backend_.Allocate(heads * max_tokens_ * vector_bytes, "one layer's values"));
    FASTKV_ASSIGN_OR_RETURN(positions_,
                            backend_.Allocate(4 * heads * max_tokens_, "one layer's positions"));
    FASTKV_ASSIGN_OR_RETURN(indices_,
                            backend_.Allocate(4 * max_entries_, "indices of kept entries"));
    FASTKV_ASSIGN_OR_RETURN(queries_,
                            backend_.Allocate(query_rows_ * query_bytes, "queries of the window"));
    FASTKV_ASSIGN_OR_RETURN(head_queries_,
                            backend_.Allocate(query_rows_ * query_bytes, "queries of the window"));
    FASTKV_ASSIGN_OR_RETURN(head_rows_, backend_.Allocate(4 * heads * query_rows_, "row numbers"));
    if (sums_columns_) {
      const int64_t group = config().num_q_heads / heads;
      FASTKV_ASSIGN_OR_RETURN(
          attention_, backend_.Allocate(query_rows_ * query_bytes / heads, "attention of rows"));
      FASTKV_ASSIGN_OR_RETURN(log_sum_exp_, backend_.Allocate(4 * query_rows_ * group,
                                                              "normalisers of rows' attention"));
    }
    if (wants_moments_) {
      FASTKV_ASSIGN_OR_RETURN(qkv_, backend_.Allocate(query_rows_ * QkvColumns() *
                                                          DTypeBytes(backend_.types().activation),
                                                      "projections of the last tokens"));
    }
    PrefillPlan reduced;
    for (const LayerPlan& plan : plans_) {
      if (!plan.keeps_all()) reduced.layers.push_back(plan);
    }
    FASTKV_ASSIGN_OR_RETURN(scratch_,
                            ObservationScratch::Allocate(backend_, ShapeOf(config()), reduced));
    return WriteHeadRows();
  }

  int64_t QkvColumns() const {
    return (config().num_q_heads + 2 * config().num_kv_heads) * config().head_dim;
  }

  // Of queries as rows of one group each, row by row, those of the first head, then the next.
  Status WriteHeadRows() {
    const int64_t heads = config().num_kv_heads;
    std::vector<int32_t> rows;
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t row = 0; row < query_rows_; ++row) {
        rows.push_back(static_cast<int32_t>(row * heads + head));
      }
    }
    if (rows.empty()) return OkStatus();
    return backend_.CopyToDevice(head_rows_.data(), rows.data(), 4 * heads * query_rows_);
  }

  // The entries of head `head` of a layer to `target`, which is as long.
  void CopyHead(int64_t layer, int64_t head, const KvEntries& target) {
    LayerKv& source = cache_.layer(layer);
    const int64_t frozen = source.FrozenLen(head);
    const int64_t tail = cache_.tail_len();
    Gather(source.FrozenHead(head).AsSource(), target.Range(0, frozen));
    if (tail == 0) return;
    Gather({.keys = source.TailKeys(0, tail).Rows(head, head + 1),
            .values = source.TailValues(0, tail).Rows(head, head + 1),
            .positions = source.TailPositions(0, tail).As<int32_t>()},
           target.Range(frozen, frozen + tail));
  }

  void Gather(GatherKvParams gather, const KvEntries& target) {
    target.SetAsTarget(gather);
    backend_.GatherKv(gather);
  }

  void KeepAll(int64_t layer) {
    for (int64_t head = 0; head < config().num_kv_heads; ++head) {
      CopyHead(layer, head, kept_[layer].FrozenHead(head));
    }
  }

  Status Reduce(int64_t layer) {
    const int64_t heads = config().num_kv_heads;
    const LayerPlan& plan = plans_[layer];
    const int64_t tokens = plan.tokens_in;
    const DType kv = backend_.types().kv;
    const TensorView keys = keys_.View(kv, {heads, tokens, config().head_dim});
    const TensorView values = values_.View(kv, {heads, tokens, config().head_dim});
    const TensorView positions = positions_.View(DType::kI32, {heads, tokens});
    const std::vector<int64_t> lens = HeadLens(cache_, layer);
    LayerInputs inputs{.layer = layer,
                       .prompt_tokens = params_.num_tokens,
                       .keys = keys,
                       .values = values,
                       .scale = model_.attention_scale(),
                       .sliding_window = config().sliding_window[layer],
                       .column_sums = plan.observation.column_sums,
                       .rotary = {.inverse_frequencies = frequencies_.inverse_frequencies,
                                  .attention_factor = frequencies_.attention_factor},
                       .moment_rows = last_rows_};
    if (has_integers()) whole_.SetFrozenHeads(std::vector<int64_t>(heads, tokens));
    for (int64_t head = 0; head < heads; ++head) {
      HeadInputs of_head{.first = tokens - lens[head],
                         .positions = positions.Rows(head, head + 1).As<int32_t>()};
      const KvEntries computed = KvEntries{.keys = keys.Rows(head, head + 1),
                                           .values = values.Rows(head, head + 1),
                                           .positions = positions.Rows(head, head + 1)}
                                     .Range(of_head.first, tokens);
      if (has_integers()) {
        const KvEntries rounded = whole_.FrozenHead(head).Range(of_head.first, tokens);
        CopyHead(layer, head, rounded);
        Gather(rounded.AsSource(), computed);
      } else {
        CopyHead(layer, head, computed);
      }
      FASTKV_RETURN_IF_ERROR(FindProtected(layer, head, of_head));
      inputs.heads.push_back(std::move(of_head));
    }
    inputs.protected_tokens = inputs.heads.front().protected_tokens;
    Observe(plan, inputs);

    LayerObservation observation(backend_, scratch_, inputs);
    Selection selection{.kv_indices = plan.unequal_heads
                                          ? indices_.View(DType::kI32, {plan.MaxEntries(heads)})
                                          : indices_.View(DType::kI32, {heads, plan.kv_len}),
                        .head_kv_len = std::vector<int64_t>(heads, plan.kv_len),
                        .tokens_out = tokens};
    FASTKV_RETURN_IF_ERROR(rule_.SelectEntries(plan, observation, selection));
    Store(inputs, selection, kept_[layer]);
    return OkStatus();
  }

  Status FindProtected(int64_t layer, int64_t head, HeadInputs& inputs) const {
    if (params_.protected_tokens.empty()) return OkStatus();
    FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> positions, cache_.PositionsOf(layer, head));
    inputs.protected_tokens = ReceivedIndices(params_.protected_tokens, positions);
    for (ColumnSpan& span : inputs.protected_tokens) {
      span.begin += inputs.first;
      span.end += inputs.first;
    }
    return OkStatus();
  }

  // Fills in what the rule asked to see of the last rows.
  void Observe(const LayerPlan& plan, LayerInputs& inputs) {
    const Observation& wanted = plan.observation;
    const bool sees_last_rows = !wanted.column_sums.empty() || wanted.query_moments;
    const int64_t rows = std::max(wanted.query_rows, sees_last_rows ? last_rows_ : 0);
    if (rows == 0) return;
    const int64_t heads = config().num_kv_heads;
    const int64_t group = config().num_q_heads / heads;
    const DType activation = backend_.types().activation;
    FASTKV_CHECK_EQ(rows, query_rows_);
    const TensorView queries =
        queries_.View(activation, {rows, config().num_q_heads, config().head_dim});
    params_.observer->CopyQueries(inputs.layer, queries);
    inputs.queries = queries;
    backend_.GatherRows(
        {.x = queries_.View(activation, {rows * heads, group * config().head_dim}),
         .indices = static_cast<const int32_t*>(head_rows_.data()),
         .out = head_queries_.View(activation, {heads * rows, group * config().head_dim})});
    const TensorView by_head =
        head_queries_.View(activation, {heads * rows, group, config().head_dim});
    for (int64_t head = 0; head < heads; ++head) {
      inputs.heads[head].queries = by_head.Rows(head * rows, (head + 1) * rows);
    }
    for (size_t i = 0; i < wanted.column_sums.size(); ++i) {
      FASTKV_CHECK(wanted.column_sums[i].last_row_weight == 1);
      SumColumns(inputs, scratch_.ColumnSumsAt(static_cast<int64_t>(i), plan.tokens_in));
    }
    if (wanted.query_moments) AddMoments(inputs.layer);
  }

  void Clear(const TensorView& view, int64_t rows, int64_t columns) {
    const std::vector<ColumnSpan> all = {{0, columns}};
    backend_.FillColumns({.scores = TensorView(view.data(), DType::kF32, {rows, columns}),
                          .spans = all,
                          .value = 0});
  }

  // The probabilities that the last rows give each entry, by KV head: `sums` [num_kv_heads,
  // tokens].
  void SumColumns(const LayerInputs& inputs, const TensorView& sums) {
    Clear(sums, sums.dim(0), sums.dim(1));
    const int64_t group = config().num_q_heads / config().num_kv_heads;
    const int64_t tokens = sums.dim(1);
    for (int64_t head = 0; head < config().num_kv_heads; ++head) {
      const HeadInputs& of_head = inputs.heads[head];
      const auto entries = [&](const ConstTensorView& view) {
        return view.Rows(head, head + 1).Slice(1, of_head.first, tokens);
      };
      const int64_t num_entries = tokens - of_head.first;
      const int64_t num_rows = of_head.queries.dim(0);
      const ConstTensorView queries = of_head.queries.Rows(num_rows - last_rows_, num_rows);
      const TensorView log_sum_exp = log_sum_exp_.View(DType::kF32, {last_rows_, group});
      backend_.PrefillAttention({.q = queries,
                                 .keys = entries(inputs.keys),
                                 .values = entries(inputs.values),
                                 .q_start = num_entries - last_rows_,
                                 .scale = inputs.scale,
                                 .window = inputs.sliding_window,
                                 .positions = of_head.positions + of_head.first,
                                 .out = attention_.View(backend_.types().activation,
                                                        {last_rows_, group * config().head_dim}),
                                 .log_sum_exp = log_sum_exp});
      backend_.ColumnScores({.q = queries,
                             .keys = entries(inputs.keys),
                             .q_start = num_entries - last_rows_,
                             .scale = inputs.scale,
                             .window = inputs.sliding_window,
                             .positions = of_head.positions + of_head.first,
                             .log_sum_exp = log_sum_exp,
                             .out = sums.Rows(head, head + 1).Slice(1, of_head.first, tokens)});
    }
  }

  void AddMoments(int64_t layer) {
    const int64_t sum_size = config().num_q_heads * config().head_dim;
    Clear(scratch_.QuerySum(), 1, sum_size);
    Clear(scratch_.QueryProducts(), sum_size, config().head_dim);
    const TensorView qkv = qkv_.View(backend_.types().activation, {last_rows_, QkvColumns()});
    params_.observer->CopyProjections(layer, qkv);
    AddQueryMoments(backend_, model_, layer, qkv, scratch_.QuerySum(), scratch_.QueryProducts());
  }

  void Store(const LayerInputs& inputs, const Selection& selection, LayerKv& kept) {
    kept.SetFrozenHeads(selection.head_kv_len);
    const auto* indices = selection.kv_indices.As<int32_t>();
    for (int64_t head = 0; head < config().num_kv_heads; ++head) {
      const int64_t count = selection.head_kv_len[head];
      GatherKvParams gather = has_integers()
                                  ? whole_.FrozenHead(head).AsSource()
                                  : GatherKvParams{.keys = inputs.keys.Rows(head, head + 1),
                                                   .values = inputs.values.Rows(head, head + 1),
                                                   .positions = inputs.heads[head].positions};
      gather.indices = ConstTensorView(indices, DType::kI32, {1, count});
      Gather(gather, kept.FrozenHead(head));
      indices += count;
    }
  }

  Backend& backend_;
  const DecoderModel& model_;
  const CacheCompressionParams& params_;
  const RetentionRule& rule_;
  KvCache& cache_;
  // Of a cache in integers, one layer's entries with the tail's rounded: what the rule sees
  // multiplied out, and what is kept unchanged.
  LayerKv whole_;
  RopeFrequencies frequencies_;

  std::vector<LayerPlan> plans_;
  std::vector<LayerKv> kept_;
  int64_t max_tokens_ = 0;   // of the layers that are reduced
  int64_t max_entries_ = 0;  // that one of them keeps
  int64_t query_rows_ = 0;   // rows that one of them is scored by
  int64_t last_rows_ = 0;    // rows that sums and moments run over
  bool sums_columns_ = false;
  bool wants_moments_ = false;

  Buffer keys_;          // [num_kv_heads, tokens, head_dim], kv: of one layer
  Buffer values_;        // as keys_
  Buffer positions_;     // [num_kv_heads, tokens], i32
  Buffer indices_;       // Selection::kv_indices
  Buffer queries_;       // [query_rows, num_q_heads, head_dim], act
  Buffer head_queries_;  // [num_kv_heads, query_rows, group, head_dim], act
  Buffer head_rows_;     // [num_kv_heads * query_rows], i32
  Buffer attention_;     // [query_rows, group * head_dim], act: not read
  Buffer log_sum_exp_;   // [query_rows, group], f32
  Buffer qkv_;           // [query_rows, (num_q_heads + 2 num_kv_heads) head_dim], act
  ObservationScratch scratch_;
};

}  // namespace

bool ExceedsBudget(const KvCache& cache, const CacheBudget& budget) {
  for (int64_t layer = 0; layer < cache.geometry().num_layers; ++layer) {
    const int64_t entries = Sum(HeadLens(cache, layer));
    if (entries > cache.geometry().num_kv_heads * budget.kv_len[layer]) return true;
  }
  return false;
}

bool CanCompress(const KvCache& cache, const CacheCompressionParams& params) {
  const RetentionRule& rule = *params.budget.rule;
  const Observation wanted = rule.Wanted(params.num_tokens);
  const int64_t tail = std::max<int64_t>({1, rule.TailTokens(), wanted.query_rows});
  if (cache.tail_len() < tail) return false;
  const bool sees_rows =
      wanted.query_rows > 0 || !wanted.column_sums.empty() || wanted.query_moments;
  if (!sees_rows) return true;
  return params.observer != nullptr &&
         params.observer->num_rows() >= std::max<int64_t>(1, wanted.query_rows);
}

Status CompressCache(Backend& backend, const DecoderModel& model,
                     const CacheCompressionParams& params, KvCache& cache) {
  FASTKV_CHECK(CanCompress(cache, params));
  return CacheCompressor(backend, model, params, cache).Run();
}

}  // namespace fastkv
