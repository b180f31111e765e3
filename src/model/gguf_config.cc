#include "model/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/limits.h"
#include "io/gguf_keys.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr char kArchitectureKey[] = "general.architecture";
constexpr double kMaxFactor = 1e6;

constexpr std::array<std::pair<std::string_view, Architecture>, 3> kArchitectures = {{
    {"llama", Architecture::kLlama},
    {"qwen2", Architecture::kQwen2},
    {"qwen3", Architecture::kQwen3},
}};

// Control tokens that end an answer in the chat formats of published models, whether or not the
// file names them.
constexpr std::array<std::string_view, 8> kStopTokens = {
    "<|im_end|>",    "<|eot_id|>", "<|eom_id|>",    "<|end_of_text|>",
    "<|endoftext|>", "<|end|>",    "<end_of_turn>", "</s>"};

// The keys of one architecture, "llama.block_count" and so on.
class ArchitectureKeys {
 public:
  ArchitectureKeys(const GgufMetadata& metadata, std::string_view architecture)
      : metadata_(metadata), prefix_(std::string(architecture) + ".") {}

  std::string Key(std::string_view name) const { return prefix_ + std::string(name); }
  bool Has(std::string_view name) const { return metadata_.Has(Key(name)); }

  // Some models give one number a layer; they must all be the same.
  Result<int64_t> Int(std::string_view name, int64_t min, int64_t max) const {
    const std::string key = Key(name);
    const GgufValue* value = metadata_.Find(key);
    if (value == nullptr || value->type != GgufType::kArray) return metadata_.Int(key, min, max);
    FASTKV_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers,
                            metadata_.Ints(key, limits::kMaxLayers));
    const bool equal =
        !numbers.empty() &&
        std::adjacent_find(numbers.begin(), numbers.end(), std::not_equal_to<>()) == numbers.end();
    if (!equal) {
      return UnsupportedError("key " + Quoted(key) +
                              ": layers of different sizes are not supported");
    }
    if (numbers[0] < min || numbers[0] > max) {
      return FormatError("key " + Quoted(key) + ": expected integers from " + std::to_string(min) +
                         " to " + std::to_string(max) + ", found " + std::to_string(numbers[0]));
    }
    return numbers[0];
  }
  Result<int64_t> IntOr(std::string_view name, int64_t otherwise, int64_t min, int64_t max) const {
    if (!Has(name)) return otherwise;
    return Int(name, min, max);
  }
  Result<double> NumberOr(std::string_view name, double otherwise, double min, double max) const {
    return metadata_.NumberOr(Key(name), otherwise, min, max);
  }
  const GgufMetadata& metadata() const { return metadata_; }

 private:
  const GgufMetadata& metadata_;
  std::string prefix_;
};

Status Unsupported(const std::string& key, const std::string& what) {
  return UnsupportedError("key " + Quoted(key) + ": " + what);
}

// Files that go with a language model and are none.
Status CheckIsLanguageModel(const GgufMetadata& metadata) {
  FASTKV_ASSIGN_OR_RETURN(const std::string_view type, metadata.StringOr("general.type", "model"));
  FASTKV_ASSIGN_OR_RETURN(const std::string_view architecture,
                          metadata.StringOr(kArchitectureKey, ""));
  if (type == "mmproj" || architecture == "clip") {
    return UnsupportedError(
        "this is the image or audio encoder of a model (an mmproj file); give the file of the "
        "language model itself");
  }
  if (type == "adapter") {
    return UnsupportedError(
        "this is a LoRA adapter, which works on top of a model and is not supported; give a file "
        "with the adapter merged in");
  }
  if (type == "imatrix" || architecture == "imatrix") {
    return UnsupportedError("this is an importance matrix for making models, not a model");
  }
  return OkStatus();
}

Result<Architecture> FindArchitecture(const GgufMetadata& metadata) {
  FASTKV_ASSIGN_OR_RETURN(const std::string_view name, metadata.String(kArchitectureKey));
  std::string supported;
  for (const auto& [its_name, architecture] : kArchitectures) {
    if (name == its_name) return architecture;
    supported += (supported.empty() ? "" : ", ") + std::string(its_name);
  }
  return Unsupported(kArchitectureKey, "expected one of " + supported + ", found " + Quoted(name));
}

Result<int64_t> ReadVocabSize(const ArchitectureKeys& keys) {
  const GgufValue* tokens = keys.metadata().Find(gguf::kTokensKey);
  if (keys.Has("vocab_size") || tokens == nullptr || tokens->type != GgufType::kArray) {
    return keys.Int("vocab_size", 1, limits::kMaxVocabSize);
  }
  const auto count = static_cast<int64_t>(
      std::min<uint64_t>(tokens->num_elements, static_cast<uint64_t>(INT64_MAX)));
  if (count >= 1 && count <= limits::kMaxVocabSize) return count;
  return FormatError("key " + Quoted(gguf::kTokensKey) + ": expected 1 to " +
                     std::to_string(limits::kMaxVocabSize) + " tokens, found " +
                     std::to_string(count));
}

Status ParseSizes(const ArchitectureKeys& keys, ModelConfig* config) {
  FASTKV_ASSIGN_OR_RETURN(config->num_layers, keys.Int("block_count", 1, limits::kMaxLayers));
  FASTKV_ASSIGN_OR_RETURN(config->max_position_embeddings,
                          keys.Int("context_length", 1, limits::kMaxContextTokens));
  FASTKV_ASSIGN_OR_RETURN(config->hidden_size,
                          keys.Int("embedding_length", 1, limits::kMaxHiddenSize));
  FASTKV_ASSIGN_OR_RETURN(config->intermediate_size,
                          keys.Int("feed_forward_length", 1, limits::kMaxHiddenSize));
  FASTKV_ASSIGN_OR_RETURN(config->num_q_heads,
                          keys.Int("attention.head_count", 1, limits::kMaxHeads));
  FASTKV_ASSIGN_OR_RETURN(
      config->num_kv_heads,
      keys.IntOr("attention.head_count_kv", config->num_q_heads, 1, limits::kMaxHeads));
  if (config->num_q_heads % config->num_kv_heads != 0) {
    return FormatError("key " + Quoted(keys.Key("attention.head_count_kv")) +
                       ": expected a divisor of " + std::to_string(config->num_q_heads) +
                       " (attention.head_count), found " + std::to_string(config->num_kv_heads));
  }
  if (!keys.Has("attention.key_length") && config->hidden_size % config->num_q_heads != 0) {
    return FormatError("key " + Quoted(keys.Key("embedding_length")) + ": expected a multiple of " +
                       std::to_string(config->num_q_heads) + " (attention.head_count), found " +
                       std::to_string(config->hidden_size));
  }
  const int64_t head_dim = config->hidden_size / config->num_q_heads;
  FASTKV_ASSIGN_OR_RETURN(config->head_dim,
                          keys.IntOr("attention.key_length", head_dim, 1, limits::kMaxHeadDim));
  if (config->head_dim < 2 || config->head_dim % 2 != 0 || config->head_dim > limits::kMaxHeadDim) {
    return FormatError("key " + Quoted(keys.Key("attention.key_length")) +
                       ": expected an even head size from 2 to " +
                       std::to_string(limits::kMaxHeadDim) + ", found " +
                       std::to_string(config->head_dim));
  }
  for (const char* name : {"attention.value_length", "rope.dimension_count"}) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t size,
                            keys.IntOr(name, config->head_dim, 1, limits::kMaxHeadDim));
    if (size != config->head_dim) {
      return Unsupported(keys.Key(name), "only the head size, " + std::to_string(config->head_dim) +
                                             ", is supported, found " + std::to_string(size));
    }
  }
  FASTKV_ASSIGN_OR_RETURN(config->vocab_size, ReadVocabSize(keys));
  FASTKV_ASSIGN_OR_RETURN(
      config->rms_norm_eps,
      keys.metadata().Number(keys.Key("attention.layer_norm_rms_epsilon"), 1e-12, 1));
  FASTKV_ASSIGN_OR_RETURN(const int64_t num_experts, keys.IntOr("expert_count", 0, 0, INT64_MAX));
  if (num_experts != 0) {
    return Unsupported(keys.Key("expert_count"), "mixtures of experts are not supported");
  }
  return OkStatus();
}

Status ParseYarn(const ArchitectureKeys& keys, int64_t context_tokens, RopeConfig* rope) {
  FASTKV_ASSIGN_OR_RETURN(rope->original_max_position_embeddings,
                          keys.IntOr("rope.scaling.original_context_length", context_tokens, 1,
                                     limits::kMaxContextTokens));
  FASTKV_ASSIGN_OR_RETURN(rope->beta_fast,
                          keys.NumberOr("rope.scaling.yarn_beta_fast", 32, 1e-3, kMaxFactor));
  FASTKV_ASSIGN_OR_RETURN(rope->beta_slow,
                          keys.NumberOr("rope.scaling.yarn_beta_slow", 1, 1e-3, kMaxFactor));
  FASTKV_ASSIGN_OR_RETURN(const double extrapolation, keys.NumberOr("rope.scaling.yarn_ext_factor",
                                                                    1, -kMaxFactor, kMaxFactor));
  if (extrapolation != 1) {
    return Unsupported(keys.Key("rope.scaling.yarn_ext_factor"),
                       "only 1 is supported, found " + std::to_string(extrapolation));
  }
  FASTKV_ASSIGN_OR_RETURN(const double attention_factor,
                          keys.NumberOr("rope.scaling.attn_factor", 1, 1e-6, kMaxFactor));
  // yarn_attn_factor is not read: the engine that the files are made for replaces it too.
  rope->attention_factor = (1 + 0.1 * std::log(rope->factor)) * attention_factor;
  return OkStatus();
}

// rope_freqs.weight, the divisors.
Status ReadDivisors(const GgufFiles& files, int64_t head_dim, RopeConfig* rope) {
  constexpr char kName[] = "rope_freqs.weight";
  const GgufFiles::Place* place = files.Find(kName);
  if (place == nullptr) return OkStatus();
  if (place->tensor->type != StoredType::kF32 ||
      place->tensor->shape != std::vector<int64_t>{head_dim / 2}) {
    return FormatError("tensor " + Quoted(kName) + ": expected F32 of shape [" +
                       std::to_string(head_dim / 2) + "], half the head size");
  }
  rope->divisors.resize(static_cast<size_t>(head_dim / 2));
  std::memcpy(rope->divisors.data(), place->data, rope->divisors.size() * sizeof(float));
  for (const float divisor : rope->divisors) {
    if (!std::isfinite(divisor) || divisor < 1e-6F) {
      return FormatError("tensor " + Quoted(kName) + ": expected numbers above 0, found " +
                         std::to_string(divisor));
    }
  }
  return OkStatus();
}

Status ParseRope(const ArchitectureKeys& keys, const GgufFiles& files, ModelConfig* config) {
  RopeConfig& rope = config->rope;
  FASTKV_ASSIGN_OR_RETURN(rope.theta, keys.NumberOr("rope.freq_base", 10000, 2, 1e15));
  FASTKV_ASSIGN_OR_RETURN(const double old_factor,
                          keys.NumberOr("rope.scale_linear", 0, 0, kMaxFactor));
  FASTKV_ASSIGN_OR_RETURN(double factor,
                          keys.NumberOr("rope.scaling.factor", old_factor, 0, kMaxFactor));
  if (factor == 0) factor = 1;
  FASTKV_ASSIGN_OR_RETURN(
      const std::string_view type,
      keys.metadata().StringOr(keys.Key("rope.scaling.type"), factor == 1 ? "none" : "linear"));
  if (type != "none" && factor < 1) {
    return FormatError("key " + Quoted(keys.Key("rope.scaling.factor")) +
                       ": expected 1 or more, found " + std::to_string(factor));
  }
  if (type == "linear") {
    rope.kind = RopeKind::kLinear;
    rope.factor = factor;
  } else if (type == "yarn") {
    rope.kind = RopeKind::kYarn;
    rope.factor = factor;
    FASTKV_RETURN_IF_ERROR(ParseYarn(keys, config->max_position_embeddings, &rope));
  } else if (type != "none") {
    return Unsupported(keys.Key("rope.scaling.type"),
                       "expected none, linear or yarn, found " + Quoted(type));
  }
  return ReadDivisors(files, config->head_dim, &rope);
}

Status ParseSlidingWindow(const ArchitectureKeys& keys, ModelConfig* config) {
  FASTKV_ASSIGN_OR_RETURN(const int64_t window,
                          keys.IntOr("attention.sliding_window", 0, 0, limits::kMaxContextTokens));
  config->sliding_window.assign(static_cast<size_t>(config->num_layers), window);
  return OkStatus();
}

void FindVariant(const GgufFiles& files, ModelConfig* config) {
  const auto has = [&](const char* name) { return files.Find(name) != nullptr; };
  config->tie_word_embeddings = !has("output.weight");
  config->qk_norm = config->architecture == Architecture::kQwen3;
  config->qkv_bias = config->architecture == Architecture::kQwen2 || has("blk.0.attn_q.bias");
  config->o_bias = has("blk.0.attn_output.bias");
  config->mlp_bias = has("blk.0.ffn_gate.bias");
  const GgufFiles::Place* query = files.Find("blk.0.attn_q.weight");
  if (query != nullptr && IsElementType(query->tensor->type)) {
    config->dtype = ElementTypeOf(query->tensor->type);
  }
}

Result<std::optional<int64_t>> ReadTokenId(const GgufMetadata& metadata, const std::string& name,
                                           int64_t default_of_scores, const ModelConfig& config) {
  const std::string key = "tokenizer.ggml." + name + "_token_id";
  if (metadata.Has(key)) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t id, metadata.Int(key, 0, config.vocab_size - 1));
    return std::optional(id);
  }
  FASTKV_ASSIGN_OR_RETURN(const std::string_view tokenizer,
                          metadata.StringOr(gguf::kTokenizerModelKey, ""));
  const bool has_default = tokenizer == gguf::kScoreModel && default_of_scores >= 0 &&
                           default_of_scores < config.vocab_size;
  return has_default ? std::optional(default_of_scores) : std::nullopt;
}

Status ParseSpecialTokens(const GgufMetadata& metadata, ModelConfig* config) {
  FASTKV_ASSIGN_OR_RETURN(config->bos_token_id,
                          ReadTokenId(metadata, "bos", gguf::kScoreBosId, *config));
  for (const auto& [name, otherwise] :
       {std::pair<const char*, int64_t>{"eos", gguf::kScoreEosId}, {"eot", -1}, {"eom", -1}}) {
    FASTKV_ASSIGN_OR_RETURN(const std::optional<int64_t> id,
                            ReadTokenId(metadata, name, otherwise, *config));
    if (id) config->eos_token_ids.push_back(*id);
  }
  if (!metadata.Has(gguf::kTokensKey) || !metadata.Has(gguf::kTokenTypesKey)) return OkStatus();
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string_view> tokens,
                          metadata.Strings(gguf::kTokensKey, limits::kMaxVocabSize));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int64_t> types,
                          metadata.Ints(gguf::kTokenTypesKey, limits::kMaxVocabSize));
  const size_t count =
      std::min({tokens.size(), types.size(), static_cast<size_t>(config->vocab_size)});
  for (size_t i = 0; i < count; ++i) {
    if (types[i] != gguf::kControl) continue;
    if (std::find(kStopTokens.begin(), kStopTokens.end(), tokens[i]) == kStopTokens.end()) continue;
    config->eos_token_ids.push_back(static_cast<int64_t>(i));
  }
  return OkStatus();
}

}  // namespace

Result<ModelConfig> ModelConfigFromGguf(const GgufFiles& files) {
  const GgufMetadata& metadata = files.metadata();
  FASTKV_RETURN_IF_ERROR(CheckIsLanguageModel(metadata));
  ModelConfig config;
  FASTKV_ASSIGN_OR_RETURN(config.architecture, FindArchitecture(metadata));
  FASTKV_ASSIGN_OR_RETURN(const std::string_view name, metadata.String(kArchitectureKey));
  const ArchitectureKeys keys(metadata, name);
  FASTKV_RETURN_IF_ERROR(ParseSizes(keys, &config));
  FASTKV_RETURN_IF_ERROR(ParseRope(keys, files, &config));
  FASTKV_RETURN_IF_ERROR(ParseSlidingWindow(keys, &config));
  FASTKV_RETURN_IF_ERROR(ParseSpecialTokens(metadata, &config));
  FindVariant(files, &config);
  return config;
}

Result<GenerationConfig> GenerationConfigFromGguf(const GgufMetadata& metadata,
                                                  const ModelConfig& model) {
  GenerationConfig config = DefaultGenerationConfig(model);
  constexpr char kTemperature[] = "general.sampling.temp";
  constexpr char kTopK[] = "general.sampling.top_k";
  constexpr char kTopP[] = "general.sampling.top_p";
  constexpr char kMinP[] = "general.sampling.min_p";
  FASTKV_ASSIGN_OR_RETURN(config.temperature,
                          metadata.NumberOr(kTemperature, config.temperature, 0, 1e6));
  FASTKV_ASSIGN_OR_RETURN(config.top_k,
                          metadata.IntOr(kTopK, config.top_k, 0, limits::kMaxVocabSize));
  FASTKV_ASSIGN_OR_RETURN(config.top_p, metadata.NumberOr(kTopP, config.top_p, 0, 1));
  FASTKV_ASSIGN_OR_RETURN(config.min_p, metadata.NumberOr(kMinP, config.min_p, 0, 1));
  const bool recommends = metadata.Has(kTemperature) || metadata.Has(kTopK) ||
                          metadata.Has(kTopP) || metadata.Has(kMinP);
  config.do_sample = recommends && config.temperature > 0;
  return config;
}

}  // namespace fastkv
