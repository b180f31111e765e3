#include "engine/batch_decoder.h"

#include <algorithm>

#include "base/check.h"

namespace fastkv {

Result<BatchDecoder> BatchDecoder::Create(Backend& backend, const DecoderModel& model,
                                          int64_t max_sequences) {
  FASTKV_CHECK_GE(max_sequences, 1);
  const ModelConfig& config = model.config();
  BatchDecoder decoder(backend, model);
  FASTKV_ASSIGN_OR_RETURN(decoder.workspace_,
                          DecoderWorkspace::Allocate(backend, config, max_sequences));
  struct Part {
    Buffer* buffer;
    int64_t row_bytes;
    const char* purpose;
  };
  const Part parts[] = {
      {&decoder.ids_, 4, "token ids"},
      {&decoder.positions_, 4, "token positions"},
      {&decoder.hidden_, 4 * config.hidden_size, "hidden states of new tokens"},
      {&decoder.cos_sin_, 4 * config.head_dim, "rotary embedding of new tokens"},
      {&decoder.logits_, 4 * config.vocab_size, "logits"},
      {&decoder.log_sum_exp_, 4 * config.num_q_heads, "normalisers of attention"},
      {&decoder.choices_, 4, "chosen tokens"},
  };
  for (const Part& part : parts) {
    FASTKV_ASSIGN_OR_RETURN(*part.buffer,
                            backend.Allocate(max_sequences * part.row_bytes, part.purpose));
  }
  return decoder;
}

Status BatchDecoder::Step(std::span<const BatchSequence> sequences, std::span<const int32_t> ids,
                          const CancelFlag* cancel) {
  num_sequences_ = static_cast<int64_t>(sequences.size());
  FASTKV_CHECK_GE(num_sequences_, 1);
  FASTKV_CHECK_LE(num_sequences_, max_sequences());
  FASTKV_CHECK_EQ(ids.size(), sequences.size());
  std::vector<int32_t> positions;
  for (const BatchSequence& sequence : sequences) {
    positions.push_back(static_cast<int32_t>(sequence.cache->next_position()));
  }
  FASTKV_RETURN_IF_ERROR(backend_->CopyToDevice(ids_.data(), ids.data(), 4 * num_sequences_));
  FASTKV_RETURN_IF_ERROR(
      backend_->CopyToDevice(positions_.data(), positions.data(), 4 * num_sequences_));
  size_t num_grown = 0;
  Status status;
  for (; num_grown < sequences.size(); ++num_grown) {
    status = sequences[num_grown].cache->AppendTokens(1);
    if (!status.ok()) break;
  }
  for (const BatchSequence& sequence : sequences) {
    if (!status.ok() || sequence.eviction == nullptr) continue;
    status = sequence.eviction->ReserveForToken(*sequence.cache);
  }
  if (status.ok()) status = RunLayers(sequences, cancel);
  if (!status.ok()) {
    for (size_t i = 0; i < num_grown; ++i) sequences[i].cache->RemoveLastTokens(1);
    return status;
  }
  for (const BatchSequence& sequence : sequences) {
    if (sequence.eviction == nullptr) continue;
    FASTKV_RETURN_IF_ERROR(sequence.eviction->FinishToken(*sequence.cache));
  }
  return OkStatus();
}

Status BatchDecoder::RunLayers(std::span<const BatchSequence> sequences, const CancelFlag* cancel) {
  const ModelConfig& config = model_->config();
  const TensorView hidden = hidden_.View(DType::kF32, {num_sequences_, config.hidden_size});
  const TensorView cos_sin = cos_sin_.View(DType::kF32, {num_sequences_, config.head_dim});
  const bool evicts =
      std::any_of(sequences.begin(), sequences.end(),
                  [](const BatchSequence& sequence) { return sequence.eviction != nullptr; });
  TensorView log_sum_exp;
  if (evicts) {
    log_sum_exp = log_sum_exp_.View(DType::kF32, {num_sequences_, config.num_q_heads});
  }
  backend_->EmbedTokens({.table = &model_->embedding(),
                         .ids = static_cast<const int32_t*>(ids_.data()),
                         .out = hidden});
  backend_->RopeTable({.positions = static_cast<const int32_t*>(positions_.data()),
                       .inverse_frequencies = model_->InverseFrequencies(),
                       .attention_factor = model_->rope_attention_factor(),
                       .cos_sin = cos_sin});
  std::vector<KvDestination> destinations(sequences.size());
  std::vector<KvLayerView> views(sequences.size());
  for (int64_t i = 0; i < config.num_layers; ++i) {
    for (size_t s = 0; s < sequences.size(); ++s) {
      LayerKv& layer = sequences[s].cache->layer(i);
      const int64_t tail_len = sequences[s].cache->tail_len();
      destinations[s] = {.keys = layer.TailKeys(tail_len - 1, tail_len),
                         .values = layer.TailValues(tail_len - 1, tail_len)};
      views[s] = layer.View(tail_len);
    }
    const LayerBlock block{
        .layer = i, .hidden = hidden, .cos_sin = cos_sin, .row_destinations = destinations};
    const auto attend = [&](ConstTensorView queries, TensorView out) {
      backend_->CachedAttention({.q = queries,
                                 .q_len = 1,
                                 .sequences = views,
                                 .scale = model_->attention_scale(),
                                 .window = config.sliding_window[i],
                                 .out = out,
                                 .log_sum_exp = log_sum_exp});
      for (int64_t s = 0; s < num_sequences_; ++s) {
        TailEviction* eviction = sequences[s].eviction;
        if (eviction == nullptr) continue;
        backend_->Copy(eviction->LogSumExp(i).data(), log_sum_exp.Rows(s, s + 1).data(),
                       4 * config.num_q_heads);
        eviction->RecordToken(i, queries.Rows(s, s + 1));
      }
    };
    FASTKV_RETURN_IF_ERROR(RunDecoderLayer(*backend_, *model_, workspace_, block, attend, cancel));
  }
  RunHead(*backend_, *model_, workspace_, hidden,
          logits_.View(DType::kF32, {num_sequences_, config.vocab_size}));
  return backend_->Synchronize();
}

ConstTensorView BatchDecoder::logits() const {
  return logits_.View(DType::kF32, {num_sequences_, model_->config().vocab_size});
}

Result<std::vector<int32_t>> BatchDecoder::GreedyIds() {
  backend_->ArgMax({.logits = logits(), .out = choices_.View(DType::kI32, {num_sequences_})});
  std::vector<int32_t> ids(num_sequences_);
  FASTKV_RETURN_IF_ERROR(backend_->CopyToHost(ids.data(), choices_.data(), 4 * num_sequences_));
  for (const int32_t id : ids) {
    if (id < 0) {
      return NumericError("the model's output holds NaN or infinity; this request cannot go on");
    }
  }
  return ids;
}

}  // namespace fastkv
