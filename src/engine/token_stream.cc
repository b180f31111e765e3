#include "engine/token_stream.h"

#include <numeric>
#include <utility>

namespace fastkv {

int64_t TokenStream::TokenBytes(const ModelConfig& config) {
  return 4 * (config.hidden_size + config.head_dim + 1);
}

Result<TokenStream> TokenStream::Allocate(Backend& backend, const DecoderModel& model,
                                          int64_t prompt_tokens, int64_t cut_tokens) {
  TokenStream stream(backend, model);
  FASTKV_ASSIGN_OR_RETURN(stream.now_, stream.AllocateColumns(prompt_tokens));
  FASTKV_ASSIGN_OR_RETURN(stream.next_, stream.AllocateColumns(cut_tokens));
  return stream;
}

Result<TokenStream::Columns> TokenStream::AllocateColumns(int64_t tokens) const {
  const ModelConfig& config = model_->config();
  Columns columns;
  FASTKV_ASSIGN_OR_RETURN(columns.hidden,
                          backend_->Allocate(4 * tokens * config.hidden_size, "hidden states"));
  FASTKV_ASSIGN_OR_RETURN(columns.positions, backend_->Allocate(4 * tokens, "token positions"));
  FASTKV_ASSIGN_OR_RETURN(
      columns.cos_sin, backend_->Allocate(4 * tokens * config.head_dim, "rotary embedding table"));
  return columns;
}

Status TokenStream::Embed(std::span<const int32_t> ids) {
  num_tokens_ = static_cast<int64_t>(ids.size());
  host_positions_.clear();
  std::vector<int32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  FASTKV_RETURN_IF_ERROR(
      backend_->CopyToDevice(now_.positions.data(), positions.data(), 4 * num_tokens_));
  FASTKV_ASSIGN_OR_RETURN(const Buffer device_ids,
                          backend_->Allocate(4 * num_tokens_, "token ids"));
  FASTKV_RETURN_IF_ERROR(backend_->CopyToDevice(device_ids.data(), ids.data(), 4 * num_tokens_));
  backend_->EmbedTokens({.table = &model_->embedding(),
                         .ids = static_cast<const int32_t*>(device_ids.data()),
                         .out = Hidden()});
  backend_->RopeTable({.positions = this->positions(),
                       .inverse_frequencies = model_->InverseFrequencies(),
                       .attention_factor = model_->rope_attention_factor(),
                       .cos_sin = CosSin()});
  return backend_->Synchronize();
}

void TokenStream::Gather(const Columns& from, int64_t num_tokens, const int32_t* indices,
                         int64_t count, const Columns& to) const {
  const ModelConfig& config = model_->config();
  const auto gather = [&](const Buffer& source, const Buffer& target, DType dtype,
                          int64_t columns) {
    backend_->GatherRows({.x = source.View(dtype, {num_tokens, columns}),
                          .indices = indices,
                          .out = target.View(dtype, {count, columns})});
  };
  gather(from.hidden, to.hidden, DType::kF32, config.hidden_size);
  gather(from.positions, to.positions, DType::kI32, 1);
  gather(from.cos_sin, to.cos_sin, DType::kF32, config.head_dim);
}

Status TokenStream::Keep(const int32_t* indices, int64_t count, bool final) {
  Gather(now_, num_tokens_, indices, count, next_);
  FASTKV_RETURN_IF_ERROR(backend_->Synchronize());
  std::swap(now_, next_);
  num_tokens_ = count;
  if (final) next_ = Columns{};
  host_positions_.resize(count);
  return backend_->CopyToHost(host_positions_.data(), now_.positions.data(), 4 * count);
}

Status TokenStream::CopyFrom(const TokenStream& other, const int32_t* indices, int64_t count) {
  Gather(other.now_, other.num_tokens_, indices, count, now_);
  FASTKV_RETURN_IF_ERROR(backend_->Synchronize());
  num_tokens_ = count;
  host_positions_.resize(count);
  return backend_->CopyToHost(host_positions_.data(), now_.positions.data(), 4 * count);
}

TensorView TokenStream::Hidden() const {
  return now_.hidden.View(DType::kF32, {num_tokens_, model_->config().hidden_size});
}

TensorView TokenStream::CosSin() const {
  return now_.cos_sin.View(DType::kF32, {num_tokens_, model_->config().head_dim});
}

const int32_t* TokenStream::positions() const {
  return static_cast<const int32_t*>(now_.positions.data());
}

}  // namespace fastkv
