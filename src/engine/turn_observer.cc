#include "engine/turn_observer.h"

#include <algorithm>

#include "base/check.h"

namespace fastkv {
namespace {

// Rules that look at every row of a prompt look at so many of the last ones here (ours): all rows
// of a conversation would take more memory than the cache that they are to reduce.
constexpr int64_t kLastRows = 64;

}  // namespace

Result<TurnObserver> TurnObserver::Create(Backend& backend, const DecoderModel& model,
                                          const RetentionRule& rule) {
  // How many rows are wanted of a layer that has enough of them.
  const Observation wanted = rule.Wanted(rule.TailTokens() + kLastRows);
  TurnObserver observer(backend, model);
  observer.max_rows_ = wanted.query_rows;
  if (!wanted.column_sums.empty() || wanted.query_moments) {
    observer.max_rows_ = std::max(observer.max_rows_, kLastRows);
  }
  FASTKV_RETURN_IF_ERROR(observer.AllocateMemory(wanted.query_moments));
  return observer;
}

Status TurnObserver::AllocateMemory(bool projections) {
  const ModelConfig& config = model_->config();
  const int64_t row_bytes =
      config.num_layers * config.head_dim * DTypeBytes(backend_->types().activation);
  const int64_t num_heads = config.num_q_heads + 2 * config.num_kv_heads;
  FASTKV_ASSIGN_OR_RETURN(queries_, backend_->Allocate(max_rows_ * config.num_q_heads * row_bytes,
                                                       "queries of the last tokens"));
  FASTKV_ASSIGN_OR_RETURN(qkv_,
                          backend_->Allocate(projections ? max_rows_ * num_heads * row_bytes : 0,
                                             "projections of the last tokens"));
  return OkStatus();
}

Result<TurnObserver> TurnObserver::Fork() const {
  TurnObserver fork(*backend_, *model_);
  fork.max_rows_ = max_rows_;
  FASTKV_RETURN_IF_ERROR(fork.AllocateMemory(has_projections()));
  backend_->Copy(fork.queries_.data(), queries_.data(), queries_.num_bytes());
  if (has_projections()) backend_->Copy(fork.qkv_.data(), qkv_.data(), qkv_.num_bytes());
  fork.num_rows_ = num_rows_;
  fork.oldest_ = oldest_;
  return fork;
}

void TurnObserver::Begin(int64_t num_tokens) {
  oldest_ = std::clamp(num_rows_ + num_tokens - max_rows_, oldest_, num_rows_);
}

void TurnObserver::Finish(int64_t num_tokens) {
  num_rows_ += num_tokens;
  oldest_ = std::max(oldest_, num_rows_ - max_rows_);
}

void TurnObserver::TakeBack(int64_t num_tokens) {
  num_rows_ -= num_tokens;
  oldest_ = std::min(oldest_, num_rows_);
}

std::byte* TurnObserver::Slot(const Buffer& slots, int64_t layer, int64_t row,
                              int64_t row_bytes) const {
  return static_cast<std::byte*>(slots.data()) + (layer * max_rows_ + row % max_rows_) * row_bytes;
}

void TurnObserver::Store(const Buffer& slots, int64_t layer, const ConstTensorView& rows) {
  const int64_t num_tokens = rows.dim(0);
  const int64_t row_bytes = rows.stride(0) * DTypeBytes(rows.dtype());
  for (int64_t i = std::max<int64_t>(0, num_tokens - max_rows_); i < num_tokens;) {
    const int64_t row = num_rows_ + i;
    const int64_t count = std::min(num_tokens - i, max_rows_ - row % max_rows_);
    backend_->Copy(Slot(slots, layer, row, row_bytes), rows.Rows(i, i + count).data(),
                   count * row_bytes);
    i += count;
  }
}

void TurnObserver::Load(const Buffer& slots, int64_t layer, const TensorView& rows) const {
  const int64_t num_tokens = rows.dim(0);
  FASTKV_CHECK_LE(num_tokens, num_rows());
  const int64_t row_bytes = rows.stride(0) * DTypeBytes(rows.dtype());
  for (int64_t i = 0; i < num_tokens;) {
    const int64_t row = num_rows_ - num_tokens + i;
    const int64_t count = std::min(num_tokens - i, max_rows_ - row % max_rows_);
    backend_->Copy(rows.Rows(i, i + count).data(), Slot(slots, layer, row, row_bytes),
                   count * row_bytes);
    i += count;
  }
}

void TurnObserver::Record(int64_t layer, ConstTensorView queries, ConstTensorView qkv) {
  FASTKV_CHECK(queries.packed() && qkv.packed());
  Store(queries_, layer, queries);
  if (has_projections()) Store(qkv_, layer, qkv);
}

void TurnObserver::CopyQueries(int64_t layer, const TensorView& out) const {
  Load(queries_, layer, out);
}

void TurnObserver::CopyProjections(int64_t layer, const TensorView& out) const {
  Load(qkv_, layer, out);
}

}  // namespace fastkv
