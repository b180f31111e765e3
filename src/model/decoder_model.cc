#include "model/decoder_model.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/float16.h"
#include "model/rope_frequencies.h"

namespace fastkv {
namespace {

// Appends the elements of a host vector as float.
void AppendAsFloat(ConstTensorView source, std::vector<float>& out) {
  const int64_t count = source.num_elements();
  for (int64_t i = 0; i < count; ++i) {
    switch (source.dtype()) {
      case DType::kF32:
        out.push_back(source.As<float>()[i]);
        break;
      case DType::kBF16:
        out.push_back(ToFloat(source.As<BFloat16>()[i]));
        break;
      case DType::kF16:
        out.push_back(ToFloat(source.As<Float16>()[i]));
        break;
      default:
        FASTKV_CHECK_MSG(false, "weights are f32, f16 or bf16");
    }
  }
}

Result<Buffer> ToDevice(Backend& backend, const std::vector<float>& values) {
  const auto num_bytes = static_cast<int64_t>(values.size()) * DTypeBytes(DType::kF32);
  FASTKV_ASSIGN_OR_RETURN(Buffer buffer, backend.Allocate(num_bytes, "a weight vector"));
  FASTKV_RETURN_IF_ERROR(backend.CopyToDevice(buffer.data(), values.data(), num_bytes));
  return buffer;
}

// Reads the tensors of one layer by their names in the checkpoint.
class LayerLoader {
 public:
  LayerLoader(Backend& backend, WeightSource& source, std::string prefix)
      : backend_(backend), source_(source), prefix_(std::move(prefix)) {}

  // Vectors, one behind the other.
  Result<Buffer> Vector(std::initializer_list<std::pair<const char*, int64_t>> parts) {
    std::vector<float> values;
    for (const auto& [name, size] : parts) {
      FASTKV_ASSIGN_OR_RETURN(const ConstTensorView view, source_.Tensor(prefix_ + name, {size}));
      AppendAsFloat(view, values);
    }
    return ToDevice(backend_, values);
  }

  // Matrices of equal in_features, one below the other.
  Result<std::unique_ptr<PackedWeight>> Matrix(
      int64_t in_features, std::initializer_list<std::pair<const char*, int64_t>> parts) {
    std::vector<WeightView> views;
    for (const auto& [name, out_features] : parts) {
      FASTKV_ASSIGN_OR_RETURN(const WeightView view,
                              source_.Matrix(prefix_ + name, out_features, in_features));
      views.push_back(view);
    }
    return backend_.PackWeight(views);
  }

 private:
  Backend& backend_;
  WeightSource& source_;
  std::string prefix_;
};

Result<LayerWeights> LoadLayer(LayerLoader loader, const ModelConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t q_size = config.num_q_heads * config.head_dim;
  const int64_t kv_size = config.num_kv_heads * config.head_dim;
  const int64_t intermediate = config.intermediate_size;
  LayerWeights layer;
  FASTKV_ASSIGN_OR_RETURN(layer.attention_norm,
                          loader.Vector({{"input_layernorm.weight", hidden}}));
  FASTKV_ASSIGN_OR_RETURN(layer.mlp_norm,
                          loader.Vector({{"post_attention_layernorm.weight", hidden}}));
  FASTKV_ASSIGN_OR_RETURN(layer.qkv, loader.Matrix(hidden, {{"self_attn.q_proj.weight", q_size},
                                                            {"self_attn.k_proj.weight", kv_size},
                                                            {"self_attn.v_proj.weight", kv_size}}));
  FASTKV_ASSIGN_OR_RETURN(layer.output,
                          loader.Matrix(q_size, {{"self_attn.o_proj.weight", hidden}}));
  FASTKV_ASSIGN_OR_RETURN(layer.gate_up,
                          loader.Matrix(hidden, {{"mlp.gate_proj.weight", intermediate},
                                                 {"mlp.up_proj.weight", intermediate}}));
  FASTKV_ASSIGN_OR_RETURN(layer.down,
                          loader.Matrix(intermediate, {{"mlp.down_proj.weight", hidden}}));
  if (config.qk_norm) {
    FASTKV_ASSIGN_OR_RETURN(layer.q_norm,
                            loader.Vector({{"self_attn.q_norm.weight", config.head_dim}}));
    FASTKV_ASSIGN_OR_RETURN(layer.k_norm,
                            loader.Vector({{"self_attn.k_norm.weight", config.head_dim}}));
  }
  if (config.qkv_bias) {
    FASTKV_ASSIGN_OR_RETURN(layer.qkv_bias, loader.Vector({{"self_attn.q_proj.bias", q_size},
                                                           {"self_attn.k_proj.bias", kv_size},
                                                           {"self_attn.v_proj.bias", kv_size}}));
  }
  if (config.o_bias) {
    FASTKV_ASSIGN_OR_RETURN(layer.output_bias, loader.Vector({{"self_attn.o_proj.bias", hidden}}));
  }
  if (config.mlp_bias) {
    FASTKV_ASSIGN_OR_RETURN(
        layer.gate_up_bias,
        loader.Vector({{"mlp.gate_proj.bias", intermediate}, {"mlp.up_proj.bias", intermediate}}));
    FASTKV_ASSIGN_OR_RETURN(layer.down_bias, loader.Vector({{"mlp.down_proj.bias", hidden}}));
  }
  return layer;
}

}  // namespace

Result<std::unique_ptr<DecoderModel>> DecoderModel::Load(
    Backend& backend, const ModelConfig& config, WeightSource& source,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  std::unique_ptr<DecoderModel> model(new DecoderModel(config));
  const auto layer_loader = [&](int64_t i) {
    return LayerLoader(backend, source, "model.layers." + std::to_string(i) + ".");
  };
  for (int64_t i = 0; i < config.num_layers; ++i) {
    FASTKV_ASSIGN_OR_RETURN(LayerWeights layer, LoadLayer(layer_loader(i), config));
    model->layers_.push_back(std::move(layer));
    if (on_layer) on_layer(i + 1, config.num_layers);
  }
  const int64_t kv_size = config.num_kv_heads * config.head_dim;
  FASTKV_ASSIGN_OR_RETURN(model->last_layer_kv_,
                          layer_loader(config.num_layers - 1)
                              .Matrix(config.hidden_size, {{"self_attn.k_proj.weight", kv_size},
                                                           {"self_attn.v_proj.weight", kv_size}}));

  LayerLoader top(backend, source, "");
  FASTKV_ASSIGN_OR_RETURN(
      const WeightView table,
      source.Matrix("model.embed_tokens.weight", config.vocab_size, config.hidden_size));
  if (config.tie_word_embeddings) {
    FASTKV_ASSIGN_OR_RETURN(model->embedding_, backend.PackWeight({&table, 1}));
  } else {
    FASTKV_ASSIGN_OR_RETURN(model->embedding_, backend.PackTable(table));
    FASTKV_ASSIGN_OR_RETURN(
        model->head_, top.Matrix(config.hidden_size, {{"lm_head.weight", config.vocab_size}}));
  }
  FASTKV_ASSIGN_OR_RETURN(model->final_norm_,
                          top.Vector({{"model.norm.weight", config.hidden_size}}));

  const RopeFrequencies rope = ComputeRopeFrequencies(config.rope, config.head_dim);
  FASTKV_ASSIGN_OR_RETURN(model->inverse_frequencies_, ToDevice(backend, rope.inverse_frequencies));
  model->rope_attention_factor_ = rope.attention_factor;
  model->attention_scale_ =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim)));
  FASTKV_RETURN_IF_ERROR(backend.Synchronize());
  return model;
}

ConstTensorView DecoderModel::LastLayerKvBias() const {
  const Buffer& bias = layers_.back().qkv_bias;
  if (bias.data() == nullptr) return {};
  const int64_t q_size = config_.num_q_heads * config_.head_dim;
  const int64_t kv_size = config_.num_kv_heads * config_.head_dim;
  return bias.View(DType::kF32, {q_size + 2 * kv_size}).Slice(0, q_size, q_size + 2 * kv_size);
}

ConstTensorView DecoderModel::FinalNorm() const {
  return final_norm_.View(DType::kF32, {config_.hidden_size});
}

ConstTensorView DecoderModel::InverseFrequencies() const {
  return inverse_frequencies_.View(DType::kF32, {config_.head_dim / 2});
}

int64_t DecoderModel::weight_bytes() const {
  int64_t bytes = head().num_bytes();
  for (const LayerWeights& layer : layers_) {
    bytes += layer.qkv->num_bytes() + layer.output->num_bytes() + layer.gate_up->num_bytes() +
             layer.down->num_bytes();
  }
  return bytes;
}

}  // namespace fastkv
