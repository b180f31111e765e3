#include "method/layer_observation.h"

#include <algorithm>
#include <limits>

namespace fastkv {

// Most elements that any layer of a plan needs of each piece.
struct ObservationScratch::Sizes {
  int64_t query_tokens = 0;  // per query head
  int64_t head_tokens = 0;   // per KV head
  int64_t token_scores = 0;
  int64_t column_sums = 0;  // per KV head
  bool moments = false;

  explicit Sizes(const PrefillPlan& plan) {
    for (const std::vector<LayerPlan>* pass : {&plan.selection_pass, &plan.layers}) {
      for (const LayerPlan& layer : *pass) Add(layer);
    }
  }

 private:
  void Add(const LayerPlan& layer) {
    const Observation& wanted = layer.observation;
    if (wanted.query_rows > 0) query_tokens = std::max(query_tokens, layer.tokens_in);
    if (wanted.query_rows > 0 || wanted.key_scores) {
      head_tokens = std::max(head_tokens, layer.tokens_in);
    }
    const auto num_sums = static_cast<int64_t>(wanted.column_sums.size());
    if (wanted.query_rows > 0 || num_sums > 0) {
      token_scores = std::max(token_scores, layer.tokens_in);
    }
    column_sums = std::max(column_sums, num_sums * layer.tokens_in);
    moments = moments || wanted.query_moments;
  }
};

Result<ObservationScratch> ObservationScratch::Allocate(Backend& backend, const ModelShape& shape,
                                                        const PrefillPlan& plan) {
  const Sizes sizes(plan);
  ObservationScratch scratch;
  scratch.shape_ = shape;
  FASTKV_ASSIGN_OR_RETURN(
      scratch.query_scores_,
      backend.Allocate(4 * shape.num_q_heads * sizes.query_tokens, "scores of query heads"));
  FASTKV_ASSIGN_OR_RETURN(
      scratch.pooled_scores_,
      backend.Allocate(4 * shape.num_q_heads * sizes.query_tokens, "pooled scores"));
  FASTKV_ASSIGN_OR_RETURN(
      scratch.head_scores_,
      backend.Allocate(4 * shape.num_kv_heads * sizes.head_tokens, "scores of KV heads"));
  FASTKV_ASSIGN_OR_RETURN(scratch.token_scores_,
                          backend.Allocate(4 * sizes.token_scores, "token scores"));
  FASTKV_ASSIGN_OR_RETURN(
      scratch.column_sums_,
      backend.Allocate(4 * shape.num_kv_heads * sizes.column_sums, "sums of attention columns"));
  const int64_t sum_size = sizes.moments ? shape.num_q_heads * shape.head_dim : 0;
  FASTKV_ASSIGN_OR_RETURN(scratch.query_sum_,
                          backend.Allocate(4 * sum_size, "first moments of queries"));
  FASTKV_ASSIGN_OR_RETURN(scratch.query_products_, backend.Allocate(4 * sum_size * shape.head_dim,
                                                                    "second moments of queries"));
  return scratch;
}

int64_t ObservationScratch::NumBytes(const ModelShape& shape, const PrefillPlan& plan) {
  const Sizes sizes(plan);
  const int64_t sum_size = sizes.moments ? shape.num_q_heads * shape.head_dim : 0;
  return 4 * (2 * shape.num_q_heads * sizes.query_tokens + shape.num_kv_heads * sizes.head_tokens +
              sizes.token_scores + shape.num_kv_heads * sizes.column_sums +
              sum_size * (1 + shape.head_dim));
}

TensorView ObservationScratch::ColumnSumsAt(int64_t index, int64_t tokens) const {
  const int64_t heads = shape_.num_kv_heads;
  return column_sums_.View(DType::kF32, {(index + 1) * heads, tokens})
      .Rows(index * heads, (index + 1) * heads);
}

TensorView ObservationScratch::QuerySum() const {
  return query_sum_.View(DType::kF32, {shape_.num_q_heads, shape_.head_dim});
}

TensorView ObservationScratch::QueryProducts() const {
  return query_products_.View(DType::kF32, {shape_.num_q_heads, shape_.head_dim, shape_.head_dim});
}

TensorView LayerObservation::HeadView(int64_t num_columns) {
  return scratch_.head_scores_.View(DType::kF32, {shape().num_kv_heads, num_columns});
}

TensorView LayerObservation::TokenView(int64_t num_columns) {
  return scratch_.token_scores_.View(DType::kF32, {1, num_columns});
}

TensorView LayerObservation::Pool(const TensorView& scores, int64_t kernel, PoolingKind pooling) {
  const int64_t num_columns = scores.dim(1);
  // A wider kernel reaches no further column, and a divisor common to all columns changes no order.
  kernel = std::min(kernel, 2 * num_columns + 1);
  const TensorView pooled = scratch_.pooled_scores_.View(DType::kF32, {scores.dim(0), num_columns});
  backend_.PoolScores({.scores = scores, .kernel = kernel, .kind = pooling, .out = pooled});
  return pooled;
}

TensorView LayerObservation::WindowScores(int64_t window, ReductionKind rows) {
  const int64_t tokens = num_tokens();
  const TensorView scores =
      scratch_.query_scores_.View(DType::kF32, {shape().num_q_heads, tokens - window});
  const Held wanted{.content = Content::kWindow, .window = window, .rows = rows};
  if (query_scores_ == wanted) return scores;
  query_scores_ = wanted;
  if (!ScoresTogether()) {
    for (int64_t head = 0; head < shape().num_kv_heads; ++head) {
      ScoreHead(head, window, rows, scores);
    }
    return scores;
  }
  const int64_t num_rows = inputs_.queries.dim(0);
  backend_.WindowScores({.q = inputs_.queries.Rows(num_rows - window, num_rows),
                         .keys = inputs_.keys,
                         .scale = inputs_.scale,
                         .window = inputs_.sliding_window,
                         .positions = inputs_.positions,
                         .row_reduction = rows,
                         .out = scores});
  return scores;
}

bool LayerObservation::ScoresTogether() const {
  if (inputs_.heads.empty()) return true;
  if (inputs_.sliding_window > 0) return false;
  return std::all_of(inputs_.heads.begin(), inputs_.heads.end(),
                     [](const HeadInputs& head) { return head.first == 0; });
}

void LayerObservation::ScoreHead(int64_t kv_head, int64_t window, ReductionKind rows,
                                 const TensorView& scores) {
  const HeadInputs& head = inputs_.heads[kv_head];
  const int64_t group_size = shape().num_q_heads / shape().num_kv_heads;
  const int64_t num_columns = scores.dim(1);
  const int64_t num_scored = num_columns - head.first;
  const int64_t num_rows = head.queries.dim(0);
  const TensorView packed = scratch_.pooled_scores_.View(DType::kF32, {group_size, num_scored});
  backend_.WindowScores(
      {.q = head.queries.Rows(num_rows - window, num_rows),
       .keys = inputs_.keys.Rows(kv_head, kv_head + 1).Slice(1, head.first, num_tokens()),
       .scale = inputs_.scale,
       .window = inputs_.sliding_window,
       .positions = head.positions + head.first,
       .row_reduction = rows,
       .out = packed});
  // Columns without an entry count like those beyond the ends when scores are pooled.
  const std::vector<ColumnSpan> absent = {{0, head.first}};
  for (int64_t i = 0; i < group_size; ++i) {
    const TensorView row = scores.Rows(kv_head * group_size + i, kv_head * group_size + i + 1);
    backend_.FillColumns({.scores = row, .spans = absent, .value = 0});
    backend_.Copy(row.Slice(1, head.first, num_columns).data(), packed.Rows(i, i + 1).data(),
                  4 * num_scored);
  }
}

TensorView LayerObservation::GroupScores(int64_t window, int64_t kernel, PoolingKind pooling,
                                         ReductionKind rows) {
  const TensorView grouped = HeadView(num_tokens() - window);
  const Held wanted{Content::kGroupSums, window, kernel, pooling, rows};
  if (head_scores_ == wanted) return grouped;
  backend_.ReduceRows({.scores = Pool(WindowScores(window, rows), kernel, pooling),
                       .kind = ReductionKind::kSum,
                       .out = grouped});
  head_scores_ = wanted;
  return grouped;
}

TensorView LayerObservation::TokenScores(int64_t window, int64_t kernel, PoolingKind pooling,
                                         ReductionKind rows) {
  const TensorView summed = TokenView(num_tokens() - window);
  const Held wanted{Content::kTokenSums, window, kernel, pooling, rows};
  if (token_scores_ == wanted) return summed;
  backend_.ReduceRows({.scores = GroupScores(window, kernel, pooling, rows),
                       .kind = ReductionKind::kSum,
                       .out = summed});
  token_scores_ = wanted;
  return summed;
}

TensorView LayerObservation::PooledGroupMeans(int64_t window, int64_t kernel, PoolingKind pooling) {
  const TensorView means = HeadView(num_tokens() - window);
  head_scores_ = {};
  backend_.ReduceRows({.scores = WindowScores(window), .kind = ReductionKind::kMean, .out = means});
  return Pool(means, kernel, pooling);
}

TensorView LayerObservation::HeadMeans(int64_t window) {
  const TensorView means = TokenView(num_tokens() - window);
  token_scores_ = {};
  backend_.ReduceRows({.scores = WindowScores(window), .kind = ReductionKind::kMean, .out = means});
  return means;
}

TensorView LayerObservation::PooledQueryScores(int64_t kernel, PoolingKind pooling) {
  const int64_t tokens = num_tokens();
  const TensorView scores = scratch_.query_scores_.View(DType::kF32, {shape().num_q_heads, tokens});
  query_scores_ = {};
  token_scores_ = {};
  const int64_t rows = inputs_.queries.dim(0);
  backend_.QueryScores(
      {.q = inputs_.queries.Rows(rows - 1, rows), .keys = inputs_.keys, .scale = 1, .out = scores});
  const TensorView summed = TokenView(tokens);
  backend_.ReduceRows({.scores = scores, .kind = ReductionKind::kSum, .out = summed});
  return Pool(summed, kernel, pooling);
}

TensorView LayerObservation::SummedColumns(const ColumnSums& sums) {
  const auto found = std::find(inputs_.column_sums.begin(), inputs_.column_sums.end(), sums);
  FASTKV_CHECK(found != inputs_.column_sums.end());
  return scratch_.ColumnSumsAt(found - inputs_.column_sums.begin(), num_tokens())
      .Slice(1, 0, sums.columns);
}

TensorView LayerObservation::SummedTokenColumns(const ColumnSums& sums) {
  const TensorView summed = TokenView(sums.columns);
  token_scores_ = {};
  backend_.ReduceRows({.scores = SummedColumns(sums), .kind = ReductionKind::kSum, .out = summed});
  return summed;
}

TensorView LayerObservation::HeadScores() {
  head_scores_ = {};
  return HeadView(num_tokens());
}

void LayerObservation::RaiseProtected(const TensorView& scores) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  bool changed = false;
  const auto fill = [&](const TensorView& rows, const std::vector<ColumnSpan>& wanted,
                        float value) {
    std::vector<ColumnSpan> spans;
    for (const ColumnSpan& span : wanted) {
      const int64_t end = std::min(span.end, rows.dim(1));
      if (span.begin < end) spans.push_back({span.begin, end});
    }
    if (spans.empty()) return;
    backend_.FillColumns({.scores = rows, .spans = spans, .value = value});
    changed = true;
  };
  if (inputs_.heads.empty() || scores.dim(0) != shape().num_kv_heads) {
    fill(scores, inputs_.protected_tokens, kInfinity);
  } else {
    for (int64_t head = 0; head < shape().num_kv_heads; ++head) {
      const TensorView row = scores.Rows(head, head + 1);
      fill(row, inputs_.heads[head].protected_tokens, kInfinity);
      fill(row, {{0, inputs_.heads[head].first}}, -kInfinity);
    }
  }
  if (!changed) return;
  if (scores.data() == scratch_.query_scores_.data()) query_scores_ = {};
  if (scores.data() == scratch_.head_scores_.data()) head_scores_ = {};
  if (scores.data() == scratch_.token_scores_.data()) token_scores_ = {};
}

void LayerObservation::SelectTop(const TensorView& scores, int64_t tail,
                                 const TensorView& indices) {
  RaiseProtected(scores);
  const int64_t count = indices.dim(1) - tail;
  if (scores.dim(0) == indices.dim(0)) {
    backend_.SelectTopK({.scores = scores, .count = count, .tail = tail, .out = indices});
    return;
  }
  for (int64_t row = 0; row < indices.dim(0); ++row) {
    backend_.SelectTopK(
        {.scores = scores, .count = count, .tail = tail, .out = indices.Rows(row, row + 1)});
  }
}

}  // namespace fastkv
