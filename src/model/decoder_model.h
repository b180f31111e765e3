// The weights of a decoder of the Llama family on a back end. Variants (biases, q/k norms, tied
// embeddings, sliding windows, RoPE kinds) are data: a missing part is an empty buffer.
#ifndef FASTKV_MODEL_DECODER_MODEL_H_
#define FASTKV_MODEL_DECODER_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "model/model_config.h"
#include "model/weight_source.h"
#include "tensor/buffer.h"

namespace fastkv {

struct LayerWeights {
  Buffer attention_norm;                 // [hidden_size], f32
  Buffer mlp_norm;                       // [hidden_size], f32
  Buffer q_norm;                         // [head_dim], f32, or empty
  Buffer k_norm;                         // [head_dim], f32, or empty
  std::unique_ptr<PackedWeight> qkv;     // [(num_q_heads + 2 num_kv_heads) head_dim, hidden_size]
  Buffer qkv_bias;                       // [(num_q_heads + 2 num_kv_heads) head_dim], f32, or empty
  std::unique_ptr<PackedWeight> output;  // [hidden_size, num_q_heads head_dim]
  Buffer output_bias;                    // [hidden_size], f32, or empty
  std::unique_ptr<PackedWeight> gate_up;  // [2 intermediate_size, hidden_size]
  Buffer gate_up_bias;                    // [2 intermediate_size], f32, or empty
  std::unique_ptr<PackedWeight> down;     // [hidden_size, intermediate_size]
  Buffer down_bias;                       // [hidden_size], f32, or empty
};

// Immutable after Load. The back end must outlive it.
class DecoderModel {
 public:
  // Packs every weight. `on_layer(done, total)` reports progress and may be null. `source` must
  // outlive the model. Errors: as WeightSource::Tensor and Backend::PackWeight.
  static Result<std::unique_ptr<DecoderModel>> Load(
      Backend& backend, const ModelConfig& config, WeightSource& source,
      const std::function<void(int64_t done, int64_t total)>& on_layer);

  const ModelConfig& config() const { return config_; }
  const LayerWeights& layer(int64_t i) const { return layers_[i]; }
  // Keys and values alone of the last layer's qkv, whose queries are needed for few tokens only:
  // [2 num_kv_heads head_dim, hidden_size], and its bias or an empty view.
  const PackedWeight& last_layer_kv() const { return *last_layer_kv_; }
  ConstTensorView LastLayerKvBias() const;

  const PackedWeight& embedding() const { return *embedding_; }
  // [vocab_size, hidden_size]; the embedding itself where the two are tied.
  const PackedWeight& head() const { return head_ == nullptr ? *embedding_ : *head_; }
  ConstTensorView FinalNorm() const;
  ConstTensorView InverseFrequencies() const;  // [head_dim / 2], f32
  float rope_attention_factor() const { return rope_attention_factor_; }
  float attention_scale() const { return attention_scale_; }

  // Bytes of weights that one decoded token reads.
  int64_t weight_bytes() const;

 private:
  explicit DecoderModel(const ModelConfig& config) : config_(config) {}

  ModelConfig config_;
  std::vector<LayerWeights> layers_;
  std::unique_ptr<PackedWeight> last_layer_kv_;
  std::unique_ptr<PackedWeight> embedding_;
  std::unique_ptr<PackedWeight> head_;
  Buffer final_norm_;
  Buffer inverse_frequencies_;
  float rope_attention_factor_ = 1;
  float attention_scale_ = 1;
};

}  // namespace fastkv

#endif  // FASTKV_MODEL_DECODER_MODEL_H_
