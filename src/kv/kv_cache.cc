#include "kv/kv_cache.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace fastkv {

KvCache::KvCache(Backend& backend, const KvGeometry& geometry)
    : backend_(&backend), geometry_(geometry), spare_(geometry) {
  layers_.reserve(geometry.num_layers);
  for (int64_t i = 0; i < geometry.num_layers; ++i) layers_.emplace_back(geometry);
}

Status KvCache::AppendTokens(int64_t num_tokens) {
  const int64_t new_len = tail_len_ + num_tokens;
  for (LayerKv& layer : layers_) {
    const int64_t capacity = layer.tail_capacity();
    FASTKV_RETURN_IF_ERROR(layer.ReserveTail(*backend_, tail_len_, new_len));
    if (layer.tail_capacity() != capacity) num_positions_written_ = tail_len_;
  }
  if (new_len > num_positions_written_) FASTKV_RETURN_IF_ERROR(WritePositionsAhead());
  tail_len_ = new_len;
  next_position_ += num_tokens;
  return OkStatus();
}

Status KvCache::WritePositionsAhead() {
  int64_t capacity = layers_.front().tail_capacity();
  for (const LayerKv& layer : layers_) capacity = std::min(capacity, layer.tail_capacity());
  std::vector<int32_t> positions(capacity - tail_len_);
  std::iota(positions.begin(), positions.end(), static_cast<int32_t>(next_position_));
  for (LayerKv& layer : layers_) {
    FASTKV_RETURN_IF_ERROR(backend_->CopyToDevice(layer.TailPositions(tail_len_, capacity).data(),
                                                  positions.data(),
                                                  static_cast<int64_t>(positions.size()) * 4));
  }
  num_positions_written_ = capacity;
  return OkStatus();
}

Status KvCache::ReserveTail(int64_t tail_len) {
  FASTKV_CHECK_EQ(tail_len_, 0);
  for (LayerKv& layer : layers_) {
    FASTKV_RETURN_IF_ERROR(layer.ReserveTail(*backend_, 0, tail_len, /*exact=*/true));
  }
  tail_len_ = tail_len;
  num_positions_written_ = tail_len;
  return OkStatus();
}

Status KvCache::ReserveSpare() {
  if (spare_.tail_capacity() >= tail_len_) return OkStatus();
  const int64_t capacity = layers_.front().tail_capacity();
  LayerKv spare(geometry_);
  FASTKV_RETURN_IF_ERROR(spare.ReserveTail(*backend_, 0, capacity, /*exact=*/true));
  FASTKV_ASSIGN_OR_RETURN(
      spare_positions_,
      backend_->Allocate(4 * geometry_.num_kv_heads * capacity, "positions of kept entries"));
  spare_ = std::move(spare);
  return OkStatus();
}

void KvCache::KeepTail(const ConstTensorView& indices) {
  const int64_t count = indices.dim(1);
  for (int64_t i = 0; i < geometry_.num_layers; ++i) {
    const ConstTensorView of_layer(indices.Rows(i, i + 1).data(), DType::kI32,
                                   {geometry_.num_kv_heads, count});
    layers_[i].KeepTail(*backend_, tail_len_, of_layer.WithStride(0, 0), spare_,
                        spare_positions_.View(DType::kI32, {geometry_.num_kv_heads, count}));
  }
  tail_len_ = count;
  num_positions_written_ = count;
}

void KvCache::Replace(std::vector<LayerKv> layers) {
  FASTKV_CHECK_EQ(layers.size(), layers_.size());
  layers_ = std::move(layers);
  spare_ = LayerKv(geometry_);
  spare_positions_.Reset();
  tail_len_ = 0;
  num_positions_written_ = 0;
}

Result<std::vector<int32_t>> KvCache::PositionsOf(int64_t layer, int64_t kv_head) const {
  FASTKV_ASSIGN_OR_RETURN(std::vector<int32_t> positions,
                          layers_[layer].FrozenPositionsOf(*backend_, kv_head));
  if (tail_len_ == 0) return positions;
  std::vector<int32_t> tail(tail_len_);
  FASTKV_RETURN_IF_ERROR(backend_->CopyToHost(
      tail.data(), layers_[layer].View(tail_len_).tail_positions, 4 * tail_len_));
  positions.insert(positions.end(), tail.begin(), tail.end());
  return positions;
}

void KvCache::RemoveLastTokens(int64_t num_tokens) {
  FASTKV_CHECK_LE(num_tokens, tail_len_);
  tail_len_ -= num_tokens;
  next_position_ -= num_tokens;
}

Result<KvCache> KvCache::Fork() const {
  KvCache fork(*backend_, geometry_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    FASTKV_ASSIGN_OR_RETURN(fork.layers_[i], layers_[i].Fork(*backend_, tail_len_));
  }
  fork.tail_len_ = tail_len_;
  fork.num_positions_written_ = tail_len_;
  fork.next_position_ = next_position_;
  return fork;
}

Result<KvCache> KvCache::Copy() const {
  KvCache copy(*backend_, geometry_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    FASTKV_ASSIGN_OR_RETURN(copy.layers_[i], layers_[i].Copy(*backend_, tail_len_));
  }
  copy.tail_len_ = tail_len_;
  copy.num_positions_written_ = tail_len_;
  copy.next_position_ = next_position_;
  return copy;
}

int64_t KvCache::bytes_held() const {
  int64_t bytes = spare_.bytes_held() + spare_positions_.num_bytes();
  for (const LayerKv& layer : layers_) bytes += layer.bytes_held();
  return bytes;
}

}  // namespace fastkv
