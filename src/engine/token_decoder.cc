#include "engine/token_decoder.h"

#include "base/check.h"

namespace fastkv {

Result<TokenDecoder> TokenDecoder::Create(Backend& backend, const DecoderModel& model,
                                          int64_t max_tokens) {
  FASTKV_CHECK_GE(max_tokens, 1);
  const ModelConfig& config = model.config();
  TokenDecoder decoder(backend, model);
  FASTKV_ASSIGN_OR_RETURN(decoder.workspace_,
                          DecoderWorkspace::Allocate(backend, config, max_tokens));
  FASTKV_ASSIGN_OR_RETURN(decoder.ids_, backend.Allocate(4 * max_tokens, "token ids"));
  FASTKV_ASSIGN_OR_RETURN(decoder.hidden_, backend.Allocate(4 * max_tokens * config.hidden_size,
                                                            "hidden states of new tokens"));
  FASTKV_ASSIGN_OR_RETURN(decoder.cos_sin_, backend.Allocate(4 * max_tokens * config.head_dim,
                                                             "rotary embedding of new tokens"));
  FASTKV_ASSIGN_OR_RETURN(decoder.logits_, backend.Allocate(4 * config.vocab_size, "logits"));
  return decoder;
}

Status TokenDecoder::Append(KvCache& cache, std::span<const int32_t> ids, TailEviction* eviction,
                            const CancelFlag* cancel, TurnObserver* observer) {
  const auto num_tokens = static_cast<int64_t>(ids.size());
  FASTKV_CHECK_GE(num_tokens, 1);
  FASTKV_CHECK_LE(num_tokens, eviction == nullptr ? max_tokens() : 1);
  FASTKV_RETURN_IF_ERROR(backend_->CopyToDevice(ids_.data(), ids.data(), 4 * num_tokens));
  FASTKV_RETURN_IF_ERROR(cache.AppendTokens(num_tokens));
  Status status = eviction == nullptr ? OkStatus() : eviction->ReserveForToken(cache);
  if (observer != nullptr) observer->Begin(num_tokens);
  if (status.ok()) status = RunLayers(cache, num_tokens, eviction, cancel, observer);
  if (!status.ok()) {
    cache.RemoveLastTokens(num_tokens);
    return status;
  }
  if (observer != nullptr) observer->Finish(num_tokens);
  return eviction == nullptr ? OkStatus() : eviction->FinishToken(cache);
}

Status TokenDecoder::RunLayers(KvCache& cache, int64_t num_tokens, TailEviction* eviction,
                               const CancelFlag* cancel, TurnObserver* observer) {
  const ModelConfig& config = model_->config();
  const int64_t tail_len = cache.tail_len();
  const int64_t tail_begin = tail_len - num_tokens;
  const TensorView hidden = hidden_.View(DType::kF32, {num_tokens, config.hidden_size});
  const TensorView cos_sin = cos_sin_.View(DType::kF32, {num_tokens, config.head_dim});
  backend_->EmbedTokens({.table = &model_->embedding(),
                         .ids = static_cast<const int32_t*>(ids_.data()),
                         .out = hidden});
  backend_->RopeTable(
      {.positions = cache.layer(0).TailPositions(tail_begin, tail_len).As<int32_t>(),
       .inverse_frequencies = model_->InverseFrequencies(),
       .attention_factor = model_->rope_attention_factor(),
       .cos_sin = cos_sin});
  for (int64_t i = 0; i < config.num_layers; ++i) {
    LayerKv& layer = cache.layer(i);
    const LayerBlock block{.layer = i,
                           .hidden = hidden,
                           .cos_sin = cos_sin,
                           .keys = layer.TailKeys(tail_begin, tail_len),
                           .values = layer.TailValues(tail_begin, tail_len)};
    const auto attend = [&](ConstTensorView queries, TensorView out) {
      const KvLayerView view = layer.View(tail_len);
      backend_->CachedAttention(
          {.q = queries,
           .q_len = num_tokens,
           .sequences = {&view, 1},
           .scale = model_->attention_scale(),
           .window = config.sliding_window[i],
           .out = out,
           .log_sum_exp = eviction == nullptr ? TensorView() : eviction->LogSumExp(i)});
      if (eviction != nullptr) eviction->RecordToken(i, queries);
      if (observer != nullptr) observer->Record(i, queries, workspace_.Qkv(num_tokens));
    };
    FASTKV_RETURN_IF_ERROR(RunDecoderLayer(*backend_, *model_, workspace_, block, attend, cancel));
  }
  RunHead(*backend_, *model_, workspace_, hidden.Rows(num_tokens - 1, num_tokens),
          logits_.View(DType::kF32, {1, config.vocab_size}));
  return backend_->Synchronize();
}

ConstTensorView TokenDecoder::logits() const {
  return logits_.View(DType::kF32, {1, model_->config().vocab_size});
}

}  // namespace fastkv
