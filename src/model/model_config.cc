#include "model/model_config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

// What differs between the families, as the configuration classes of Transformers have it.
struct Family {
  Architecture architecture;
  std::string_view name;        // in "architectures"
  std::string_view model_type;  // in "model_type"
  int64_t max_position_embeddings;
  int64_t num_kv_heads;  // where the field is absent; 0: num_attention_heads
  int64_t head_dim;      // where the field is absent; 0: hidden_size / num_attention_heads
  std::optional<int64_t> bos_token_id;
  std::optional<int64_t> eos_token_id;
};

constexpr std::array<Family, 4> kFamilies = {{
    {Architecture::kLlama, "LlamaForCausalLM", "llama", 2048, 0, 0, 1, 2},
    {Architecture::kMistral, "MistralForCausalLM", "mistral", 131072, 8, 0, 1, 2},
    {Architecture::kQwen2, "Qwen2ForCausalLM", "qwen2", 32768, 32, 0, std::nullopt, std::nullopt},
    {Architecture::kQwen3, "Qwen3ForCausalLM", "qwen3", 32768, 32, 128, std::nullopt, std::nullopt},
}};

constexpr int64_t kDefaultSlidingWindow = 4096;

// Whether the field is there at all; JsonFields takes null for absent, some fields do not.
bool IsNull(const Json& config, const char* name) {
  const auto found = config.find(name);
  return found != config.end() && found->is_null();
}

Status Unsupported(const JsonFields& fields, std::string_view name, const std::string& what) {
  return UnsupportedError(fields.context() + ": field " + Quoted(name) + ": " + what);
}

Result<const Family*> FindFamily(const JsonFields& fields) {
  std::string found = "nothing";
  if (const Json* architectures = fields.Find("architectures")) {
    if (!architectures->is_array()) {
      return FormatError(fields.context() + ": field \"architectures\": expected a list of names");
    }
    for (const Json& name : *architectures) {
      if (!name.is_string()) continue;
      const auto& text = name.get_ref<const std::string&>();
      for (const Family& family : kFamilies) {
        if (text == family.name) return &family;
      }
      found = Quoted(text);
    }
  } else {
    FASTKV_ASSIGN_OR_RETURN(const std::string model_type, fields.StringOr("model_type", ""));
    for (const Family& family : kFamilies) {
      if (model_type == family.model_type) return &family;
    }
  }
  std::string supported;
  for (const Family& family : kFamilies) {
    supported += (supported.empty() ? "" : ", ") + std::string(family.name);
  }
  return Unsupported(fields, "architectures", "expected one of " + supported + ", found " + found);
}

Status ParseSizes(const JsonFields& fields, const Json& json, const Family& family,
                  ModelConfig* config) {
  FASTKV_ASSIGN_OR_RETURN(config->num_layers,
                          fields.Int("num_hidden_layers", 1, limits::kMaxLayers));
  FASTKV_ASSIGN_OR_RETURN(config->hidden_size,
                          fields.Int("hidden_size", 1, limits::kMaxHiddenSize));
  FASTKV_ASSIGN_OR_RETURN(config->intermediate_size,
                          fields.Int("intermediate_size", 1, limits::kMaxHiddenSize));
  FASTKV_ASSIGN_OR_RETURN(config->vocab_size, fields.Int("vocab_size", 1, limits::kMaxVocabSize));
  FASTKV_ASSIGN_OR_RETURN(config->max_position_embeddings,
                          fields.IntOr("max_position_embeddings", family.max_position_embeddings, 1,
                                       limits::kMaxContextTokens));
  FASTKV_ASSIGN_OR_RETURN(config->num_q_heads,
                          fields.Int("num_attention_heads", 1, limits::kMaxHeads));
  const bool as_many = family.num_kv_heads == 0 || IsNull(json, "num_key_value_heads");
  FASTKV_ASSIGN_OR_RETURN(
      config->num_kv_heads,
      fields.IntOr("num_key_value_heads", as_many ? config->num_q_heads : family.num_kv_heads, 1,
                   limits::kMaxHeads));
  if (config->num_q_heads % config->num_kv_heads != 0) {
    return FormatError(fields.context() +
                       ": field \"num_key_value_heads\": expected a divisor of " +
                       std::to_string(config->num_q_heads) + " (num_attention_heads), found " +
                       std::to_string(config->num_kv_heads));
  }
  int64_t head_dim = family.head_dim;
  if (head_dim == 0 && !fields.Has("head_dim")) {
    if (config->hidden_size % config->num_q_heads != 0) {
      return FormatError(fields.context() + ": field \"hidden_size\": expected a multiple of " +
                         std::to_string(config->num_q_heads) + " (num_attention_heads), found " +
                         std::to_string(config->hidden_size));
    }
    head_dim = config->hidden_size / config->num_q_heads;
  }
  FASTKV_ASSIGN_OR_RETURN(config->head_dim,
                          fields.IntOr("head_dim", head_dim, 1, limits::kMaxHeadDim));
  if (config->head_dim % 2 != 0 || config->head_dim > limits::kMaxHeadDim) {
    return FormatError(fields.context() + ": field \"head_dim\": expected an even number up to " +
                       std::to_string(limits::kMaxHeadDim) + ", found " +
                       std::to_string(config->head_dim));
  }
  return OkStatus();
}

// Which layers of Qwen models see only a window: as listed, or from max_window_layers on.
Status ParseWindowedLayers(const JsonFields& fields, int64_t window, ModelConfig* config) {
  const Json* layer_types = fields.Find("layer_types");
  if (layer_types == nullptr) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t first,
                            fields.IntOr("max_window_layers", 28, 0, INT64_MAX));
    for (int64_t i = first; i < config->num_layers; ++i) config->sliding_window[i] = window;
    return OkStatus();
  }
  if (!layer_types->is_array() || layer_types->size() != static_cast<size_t>(config->num_layers)) {
    return FormatError(fields.context() + ": field \"layer_types\": expected a list of " +
                       std::to_string(config->num_layers) + " names (num_hidden_layers)");
  }
  for (size_t i = 0; i < layer_types->size(); ++i) {
    // Comparing Json with a literal would allocate where nothing may be thrown.
    const auto* type = (*layer_types)[i].get_ptr<const std::string*>();
    if (type != nullptr && *type == "sliding_attention") {
      if (window == 0) {
        return FormatError(fields.context() + ": field \"layer_types\": layer " +
                           std::to_string(i) +
                           " has sliding attention, but the model uses no sliding_window");
      }
      config->sliding_window[i] = window;
    } else if (type == nullptr || *type != "full_attention") {
      return Unsupported(
          fields, "layer_types",
          "expected full_attention or sliding_attention for layer " + std::to_string(i));
    }
  }
  return OkStatus();
}

Status ParseSlidingWindow(const JsonFields& fields, const Json& json, ModelConfig* config) {
  config->sliding_window.assign(static_cast<size_t>(config->num_layers), 0);
  if (config->architecture == Architecture::kLlama) return OkStatus();
  const int64_t otherwise = IsNull(json, "sliding_window") ? 0 : kDefaultSlidingWindow;
  const auto read_window = [&] {
    return fields.IntOr("sliding_window", otherwise, 1, limits::kMaxContextTokens);
  };
  if (config->architecture == Architecture::kMistral) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t window, read_window());
    config->sliding_window.assign(static_cast<size_t>(config->num_layers), window);
    return OkStatus();
  }
  FASTKV_ASSIGN_OR_RETURN(const bool used, fields.BoolOr("use_sliding_window", false));
  int64_t window = 0;
  if (used) {
    FASTKV_ASSIGN_OR_RETURN(window, read_window());
  }
  return ParseWindowedLayers(fields, window, config);
}

Status ParseVariant(const JsonFields& fields, ModelConfig* config) {
  FASTKV_ASSIGN_OR_RETURN(const std::string activation, fields.StringOr("hidden_act", "silu"));
  if (activation != "silu" && activation != "swish") {
    return Unsupported(fields, "hidden_act", "expected \"silu\", found " + Quoted(activation));
  }
  if (fields.Has("quantization_config")) {
    return Unsupported(fields, "quantization_config",
                       "quantised checkpoints are not supported; use the BF16 or F16 original");
  }
  FASTKV_ASSIGN_OR_RETURN(config->rms_norm_eps, fields.NumberOr("rms_norm_eps", 1e-6, 1e-12, 1));
  FASTKV_ASSIGN_OR_RETURN(config->tie_word_embeddings, fields.BoolOr("tie_word_embeddings", false));
  switch (config->architecture) {
    case Architecture::kLlama: {
      FASTKV_ASSIGN_OR_RETURN(config->qkv_bias, fields.BoolOr("attention_bias", false));
      config->o_bias = config->qkv_bias;
      FASTKV_ASSIGN_OR_RETURN(config->mlp_bias, fields.BoolOr("mlp_bias", false));
      break;
    }
    case Architecture::kMistral:
      break;
    case Architecture::kQwen2:
      config->qkv_bias = true;
      break;
    case Architecture::kQwen3: {
      config->qk_norm = true;
      FASTKV_ASSIGN_OR_RETURN(config->qkv_bias, fields.BoolOr("attention_bias", false));
      config->o_bias = config->qkv_bias;
      break;
    }
  }
  return OkStatus();
}

Status ParseSpecialTokens(const JsonFields& fields, const Json& json, const Family& family,
                          ModelConfig* config) {
  const auto otherwise = [&](const char* name, std::optional<int64_t> value) {
    const bool usable = !IsNull(json, name) && value && *value < config->vocab_size;
    return usable ? value : std::nullopt;
  };
  if (fields.Has("bos_token_id")) {
    FASTKV_ASSIGN_OR_RETURN(config->bos_token_id,
                            fields.Int("bos_token_id", 0, config->vocab_size - 1));
  } else {
    config->bos_token_id = otherwise("bos_token_id", family.bos_token_id);
  }
  FASTKV_ASSIGN_OR_RETURN(config->eos_token_ids,
                          ParseTokenIds(fields, "eos_token_id", config->vocab_size));
  const std::optional<int64_t> eos = otherwise("eos_token_id", family.eos_token_id);
  if (!fields.Has("eos_token_id") && eos) config->eos_token_ids = {*eos};
  return OkStatus();
}

Status ParseDType(const JsonFields& fields, ModelConfig* config) {
  FASTKV_ASSIGN_OR_RETURN(const std::string old_name, fields.StringOr("torch_dtype", ""));
  FASTKV_ASSIGN_OR_RETURN(const std::string name, fields.StringOr("dtype", old_name));
  if (name == "bfloat16") config->dtype = DType::kBF16;
  if (name == "float16") config->dtype = DType::kF16;
  if (name == "float32") config->dtype = DType::kF32;
  return OkStatus();
}

}  // namespace

std::string_view ArchitectureName(Architecture architecture) {
  for (const Family& family : kFamilies) {
    if (family.architecture == architecture) return family.name;
  }
  return "?";
}

Result<std::vector<int64_t>> ParseTokenIds(const JsonFields& fields, std::string_view name,
                                           int64_t vocab_size) {
  std::vector<int64_t> ids;
  const Json* value = fields.Find(name);
  if (value == nullptr) return ids;
  if (!value->is_array()) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t id, fields.Int(name, 0, vocab_size - 1));
    ids.push_back(id);
    return ids;
  }
  for (const Json& item : *value) {
    const bool fits = item.is_number_integer() && item >= 0 && item < vocab_size;
    if (!fits) {
      return FormatError(
          fields.context() + ": field " + Quoted(name) + ": expected token ids from 0 to " +
          std::to_string(vocab_size - 1) + ", found " +
          (item.is_structured() ? std::string(item.type_name()) : Quoted(DumpJson(item))));
    }
    ids.push_back(item.get<int64_t>());
  }
  return ids;
}

Result<ModelConfig> ParseModelConfig(const Json& json, const std::string& context) {
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, context));
  FASTKV_ASSIGN_OR_RETURN(const Family* family, FindFamily(fields));
  ModelConfig config;
  config.architecture = family->architecture;
  FASTKV_RETURN_IF_ERROR(ParseSizes(fields, json, *family, &config));
  FASTKV_RETURN_IF_ERROR(ParseVariant(fields, &config));
  FASTKV_RETURN_IF_ERROR(ParseSlidingWindow(fields, json, &config));
  FASTKV_RETURN_IF_ERROR(ParseSpecialTokens(fields, json, *family, &config));
  FASTKV_RETURN_IF_ERROR(ParseDType(fields, &config));
  FASTKV_ASSIGN_OR_RETURN(config.rope, ParseRopeConfig(fields, config.max_position_embeddings));
  return config;
}

std::vector<ExpectedTensor> ExpectedTensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> tensors;
  const int64_t q_size = config.num_q_heads * config.head_dim;
  const int64_t kv_size = config.num_kv_heads * config.head_dim;
  const auto linear = [&](const std::string& name, int64_t out_features, int64_t in_features,
                          bool bias) {
    tensors.push_back({name + ".weight", {out_features, in_features}});
    if (bias) tensors.push_back({name + ".bias", {out_features}});
  };
  const auto norm = [&](const std::string& name, int64_t size) {
    tensors.push_back({name + ".weight", {size}});
  };
  linear("model.embed_tokens", config.vocab_size, config.hidden_size, false);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    norm(layer + "input_layernorm", config.hidden_size);
    linear(layer + "self_attn.q_proj", q_size, config.hidden_size, config.qkv_bias);
    linear(layer + "self_attn.k_proj", kv_size, config.hidden_size, config.qkv_bias);
    linear(layer + "self_attn.v_proj", kv_size, config.hidden_size, config.qkv_bias);
    linear(layer + "self_attn.o_proj", config.hidden_size, q_size, config.o_bias);
    if (config.qk_norm) {
      norm(layer + "self_attn.q_norm", config.head_dim);
      norm(layer + "self_attn.k_norm", config.head_dim);
    }
    norm(layer + "post_attention_layernorm", config.hidden_size);
    linear(layer + "mlp.gate_proj", config.intermediate_size, config.hidden_size, config.mlp_bias);
    linear(layer + "mlp.up_proj", config.intermediate_size, config.hidden_size, config.mlp_bias);
    linear(layer + "mlp.down_proj", config.hidden_size, config.intermediate_size, config.mlp_bias);
  }
  norm("model.norm", config.hidden_size);
  if (!config.tie_word_embeddings) {
    linear("lm_head", config.vocab_size, config.hidden_size, false);
  }
  return tensors;
}

}  // namespace fastkv
