#include "kv/kv_cache.h"

#include <numeric>
#include <utility>

#include "base/check.h"

namespace fastkv {

KvCache::KvCache(Backend& backend, const KvGeometry& geometry)
    : backend_(&backend), geometry_(geometry) {
  layers_.reserve(geometry.num_layers);
  for (int64_t i = 0; i < geometry.num_layers; ++i) layers_.emplace_back(geometry);
}

Status KvCache::AppendTokens(int64_t num_tokens) {
  const int64_t new_len = tail_len_ + num_tokens;
  for (LayerKv& layer : layers_) {
    FASTKV_RETURN_IF_ERROR(layer.ReserveTail(*backend_, tail_len_, new_len));
  }
  std::vector<int32_t> positions(num_tokens);
  std::iota(positions.begin(), positions.end(), static_cast<int32_t>(next_position_));
  for (LayerKv& layer : layers_) {
    FASTKV_RETURN_IF_ERROR(backend_->CopyToDevice(layer.TailPositions(tail_len_, new_len).data(),
                                                  positions.data(), num_tokens * 4));
  }
  tail_len_ = new_len;
  next_position_ += num_tokens;
  return OkStatus();
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
  fork.next_position_ = next_position_;
  return fork;
}

Result<KvCache> KvCache::Copy() const {
  KvCache copy(*backend_, geometry_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    FASTKV_ASSIGN_OR_RETURN(copy.layers_[i], layers_[i].Copy(*backend_, tail_len_));
  }
  copy.tail_len_ = tail_len_;
  copy.next_position_ = next_position_;
  return copy;
}

int64_t KvCache::bytes_held() const {
  int64_t bytes = 0;
  for (const LayerKv& layer : layers_) bytes += layer.bytes_held();
  return bytes;
}

}  // namespace fastkv
