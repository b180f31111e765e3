#include "kv/layer_kv.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/checked_math.h"

namespace fastkv {
namespace {

// Tails grow by doubling from here, so that a long answer costs few copies, up to a growth that no
// longer costs much memory.
constexpr int64_t kTailStepTokens = 64;
constexpr int64_t kMaxTailGrowthTokens = 4096;

}  // namespace

Status LayerKv::ReserveFrozen(Backend& backend, std::span<const int64_t> head_len) {
  FASTKV_RETURN_IF_ERROR(
      ReserveFrozenEntries(backend, std::accumulate(head_len.begin(), head_len.end(), int64_t{0})));
  SetFrozenHeads(head_len);
  return OkStatus();
}

Status LayerKv::ReserveFrozenEntries(Backend& backend, int64_t max_entries) {
  frozen_.reset();
  auto frozen = std::make_shared<FrozenKv>();
  frozen->head_begin.assign(geometry_.num_kv_heads + 1, 0);
  const int64_t vector_bytes = geometry_.head_dim * DTypeBytes(geometry_.frozen_dtype());
  const int64_t scale_bytes = geometry_.int8_frozen ? max_entries * 4 : 0;
  FASTKV_ASSIGN_OR_RETURN(frozen->keys, backend.Allocate(max_entries * vector_bytes, "kept keys"));
  FASTKV_ASSIGN_OR_RETURN(frozen->values,
                          backend.Allocate(max_entries * vector_bytes, "kept values"));
  FASTKV_ASSIGN_OR_RETURN(frozen->key_scales, backend.Allocate(scale_bytes, "kept keys"));
  FASTKV_ASSIGN_OR_RETURN(frozen->value_scales, backend.Allocate(scale_bytes, "kept values"));
  FASTKV_ASSIGN_OR_RETURN(frozen->positions,
                          backend.Allocate(max_entries * 4, "positions of kept entries"));
  frozen_ = std::move(frozen);
  return OkStatus();
}

void LayerKv::SetFrozenHeads(std::span<const int64_t> head_len) {
  FASTKV_CHECK_EQ(head_len.size(), geometry_.num_kv_heads);
  std::partial_sum(head_len.begin(), head_len.end(), frozen_->head_begin.begin() + 1);
  FASTKV_CHECK_LE(frozen_->num_entries() * 4, frozen_->positions.num_bytes());
}

KvEntries KvEntries::Range(int64_t begin, int64_t end) const {
  KvEntries range = *this;
  for (TensorView* view :
       {&range.keys, &range.values, &range.key_scales, &range.value_scales, &range.positions}) {
    if (view->rank() > 0) *view = view->Slice(1, begin, end);
  }
  return range;
}

GatherKvParams KvEntries::AsSource() const {
  FASTKV_CHECK_EQ(keys.dim(0), 1);
  return {.keys = keys,
          .values = values,
          .key_scales = key_scales,
          .value_scales = value_scales,
          .positions = positions.As<int32_t>()};
}

void KvEntries::SetAsTarget(GatherKvParams& gather) const {
  gather.out_keys = keys;
  gather.out_values = values;
  gather.out_key_scales = key_scales;
  gather.out_value_scales = value_scales;
  gather.out_positions = positions;
}

KvEntries LayerKv::FrozenAs(int64_t num_heads, int64_t kv_len) {
  const DType dtype = geometry_.frozen_dtype();
  KvEntries entries;
  entries.keys = frozen_->keys.View(dtype, {num_heads, kv_len, geometry_.head_dim});
  entries.values = frozen_->values.View(dtype, {num_heads, kv_len, geometry_.head_dim});
  if (geometry_.int8_frozen) {
    entries.key_scales = frozen_->key_scales.View(DType::kF32, {num_heads, kv_len});
    entries.value_scales = frozen_->value_scales.View(DType::kF32, {num_heads, kv_len});
  }
  entries.positions = frozen_->positions.View(DType::kI32, {num_heads, kv_len});
  return entries;
}

KvEntries LayerKv::Frozen() { return FrozenAs(geometry_.num_kv_heads, FrozenLen(0)); }

KvEntries LayerKv::FrozenHead(int64_t kv_head) {
  return FrozenAs(1, frozen_->num_entries())
      .Range(frozen_->head_begin[kv_head], frozen_->head_begin[kv_head + 1]);
}

int64_t LayerKv::FrozenLen(int64_t kv_head) const {
  if (frozen_ == nullptr) return 0;
  return frozen_->head_begin[kv_head + 1] - frozen_->head_begin[kv_head];
}

Result<std::vector<int32_t>> LayerKv::FrozenPositionsOf(Backend& backend, int64_t kv_head) const {
  std::vector<int32_t> positions(FrozenLen(kv_head));
  if (positions.empty()) return positions;
  const auto* device = static_cast<const int32_t*>(frozen_->positions.data());
  FASTKV_RETURN_IF_ERROR(backend.CopyToHost(positions.data(), device + frozen_->head_begin[kv_head],
                                            static_cast<int64_t>(positions.size()) * 4));
  return positions;
}

Status LayerKv::ReserveTail(Backend& backend, int64_t tail_len, int64_t capacity, bool exact) {
  if (capacity <= tail_capacity_) return OkStatus();
  const int64_t grown_capacity =
      std::max(capacity, tail_capacity_ + std::min(tail_capacity_, kMaxTailGrowthTokens));
  const int64_t wanted = exact ? capacity : RoundUp(grown_capacity, kTailStepTokens);
  LayerKv grown(geometry_);
  const int64_t bytes =
      geometry_.num_kv_heads * wanted * geometry_.head_dim * DTypeBytes(geometry_.dtype);
  FASTKV_ASSIGN_OR_RETURN(grown.tail_keys_, backend.Allocate(bytes, "keys of new tokens"));
  FASTKV_ASSIGN_OR_RETURN(grown.tail_values_, backend.Allocate(bytes, "values of new tokens"));
  FASTKV_ASSIGN_OR_RETURN(grown.tail_positions_,
                          backend.Allocate(wanted * 4, "positions of new tokens"));
  grown.tail_capacity_ = wanted;
  if (tail_len > 0) {
    for (int64_t head = 0; head < geometry_.num_kv_heads; ++head) {
      const auto copy_head = [&](TensorView to, TensorView from) {
        backend.Copy(to.Slice(0, head, head + 1).data(), from.Slice(0, head, head + 1).data(),
                     tail_len * geometry_.head_dim * DTypeBytes(geometry_.dtype));
      };
      copy_head(grown.TailKeys(0, tail_len), TailKeys(0, tail_len));
      copy_head(grown.TailValues(0, tail_len), TailValues(0, tail_len));
    }
    backend.Copy(grown.tail_positions_.data(), tail_positions_.data(), tail_len * 4);
  }
  tail_keys_ = std::move(grown.tail_keys_);
  tail_values_ = std::move(grown.tail_values_);
  tail_positions_ = std::move(grown.tail_positions_);
  tail_capacity_ = wanted;
  return OkStatus();
}

TensorView LayerKv::TailView(const Buffer& buffer, int64_t begin, int64_t end) const {
  return buffer.View(geometry_.dtype, {geometry_.num_kv_heads, tail_capacity_, geometry_.head_dim})
      .Slice(1, begin, end);
}

TensorView LayerKv::TailKeys(int64_t begin, int64_t end) {
  return TailView(tail_keys_, begin, end);
}

TensorView LayerKv::TailValues(int64_t begin, int64_t end) {
  return TailView(tail_values_, begin, end);
}

TensorView LayerKv::TailPositions(int64_t begin, int64_t end) {
  return tail_positions_.View(DType::kI32, {tail_capacity_}).Slice(0, begin, end);
}

void LayerKv::KeepTail(Backend& backend, int64_t tail_len, const ConstTensorView& indices,
                       LayerKv& spare, const TensorView& spare_positions) {
  const int64_t count = indices.dim(1);
  FASTKV_CHECK_LE(count, spare.tail_capacity_);
  backend.GatherKv({.keys = TailKeys(0, tail_len),
                    .values = TailValues(0, tail_len),
                    .positions = TailPositions(0, tail_len).As<int32_t>(),
                    .indices = indices,
                    .out_keys = spare.TailKeys(0, count),
                    .out_values = spare.TailValues(0, count),
                    .out_positions = spare_positions});
  backend.Copy(spare.tail_positions_.data(), spare_positions.data(), 4 * count);
  std::swap(tail_keys_, spare.tail_keys_);
  std::swap(tail_values_, spare.tail_values_);
  std::swap(tail_positions_, spare.tail_positions_);
  std::swap(tail_capacity_, spare.tail_capacity_);
}

KvLayerView LayerKv::View(int64_t tail_len) const {
  FASTKV_CHECK(frozen_ != nullptr);
  KvLayerView view;
  const DType dtype = geometry_.frozen_dtype();
  view.frozen_keys = frozen_->keys.View(dtype, {frozen_->num_entries(), geometry_.head_dim});
  view.frozen_values = frozen_->values.View(dtype, {frozen_->num_entries(), geometry_.head_dim});
  if (geometry_.int8_frozen) {
    view.frozen_key_scales = static_cast<const float*>(frozen_->key_scales.data());
    view.frozen_value_scales = static_cast<const float*>(frozen_->value_scales.data());
  }
  view.head_begin = frozen_->head_begin;
  view.frozen_positions = static_cast<const int32_t*>(frozen_->positions.data());
  if (tail_len > 0) {
    view.tail_keys = TailView(tail_keys_, 0, tail_len);
    view.tail_values = TailView(tail_values_, 0, tail_len);
    view.tail_positions = static_cast<const int32_t*>(tail_positions_.data());
  }
  return view;
}

Result<LayerKv> LayerKv::Fork(Backend& backend, int64_t tail_len) const {
  LayerKv fork(geometry_);
  fork.frozen_ = frozen_;
  if (tail_len == 0) return fork;
  FASTKV_RETURN_IF_ERROR(fork.ReserveTail(backend, 0, tail_capacity_, /*exact=*/true));
  backend.Copy(fork.tail_keys_.data(), tail_keys_.data(), tail_keys_.num_bytes());
  backend.Copy(fork.tail_values_.data(), tail_values_.data(), tail_values_.num_bytes());
  backend.Copy(fork.tail_positions_.data(), tail_positions_.data(), tail_positions_.num_bytes());
  return fork;
}

Result<LayerKv> LayerKv::Copy(Backend& backend, int64_t tail_len) const {
  FASTKV_CHECK(frozen_ != nullptr);
  FASTKV_ASSIGN_OR_RETURN(LayerKv copy, Fork(backend, tail_len));
  FASTKV_RETURN_IF_ERROR(
      copy.ReserveFrozenEntries(backend, frozen_->positions.num_bytes() / DTypeBytes(DType::kI32)));
  copy.frozen_->head_begin = frozen_->head_begin;
  const auto copy_buffer = [&](const Buffer& to, const Buffer& from) {
    backend.Copy(to.data(), from.data(), from.num_bytes());
  };
  copy_buffer(copy.frozen_->keys, frozen_->keys);
  copy_buffer(copy.frozen_->values, frozen_->values);
  copy_buffer(copy.frozen_->key_scales, frozen_->key_scales);
  copy_buffer(copy.frozen_->value_scales, frozen_->value_scales);
  copy_buffer(copy.frozen_->positions, frozen_->positions);
  return copy;
}

int64_t LayerKv::bytes_held() const {
  int64_t bytes = tail_keys_.num_bytes() + tail_values_.num_bytes() + tail_positions_.num_bytes();
  if (frozen_ != nullptr) {
    for (const Buffer* buffer : {&frozen_->keys, &frozen_->values, &frozen_->key_scales,
                                 &frozen_->value_scales, &frozen_->positions}) {
      bytes += buffer->num_bytes();
    }
  }
  return bytes;
}

}  // namespace fastkv
