// What config.json says about a decoder of the Llama family, checked and with defaults filled in.
#ifndef FASTKV_MODEL_MODEL_CONFIG_H_
#define FASTKV_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/json.h"
#include "model/rope_frequencies.h"
#include "tensor/dtype.h"

namespace fastkv {

enum class Architecture { kLlama, kMistral, kQwen2, kQwen3 };

// As in the "architectures" field, such as "LlamaForCausalLM".
std::string_view ArchitectureName(Architecture architecture);

// Plain data; one that ParseModelConfig gave holds to the limits in base/limits.h: every size is
// positive, head_dim even, num_q_heads a multiple of num_kv_heads.
struct ModelConfig {
  Architecture architecture = Architecture::kLlama;
  int64_t num_layers = 0;
  int64_t hidden_size = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;  // num_q_heads * head_dim need not be hidden_size
  int64_t intermediate_size = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;  // the context length the model was made for, in tokens
  double rms_norm_eps = 1e-6;
  RopeConfig rope;

  bool tie_word_embeddings = false;  // the head's weight is the embedding's
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  // RMS norm over head_dim of each query and key head, before RoPE

  // [num_layers]: how many tokens, itself included, a token attends to; 0: all before it.
  std::vector<int64_t> sliding_window;

  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_ids;  // ids that end an answer; may be empty
  std::optional<DType> dtype;          // of the weights as published, if it is a known one
};

// Reads the parsed config.json with the defaults of Transformers for each family; `context` names
// it in messages. Errors: kFormat (naming the field, what was expected and what came),
// kUnsupported.
Result<ModelConfig> ParseModelConfig(const Json& config, const std::string& context);

// One id, a list of ids, or nothing, each in [0, vocab_size). Errors: kFormat.
Result<std::vector<int64_t>> ParseTokenIds(const JsonFields& fields, std::string_view name,
                                           int64_t vocab_size);

struct ExpectedTensor {
  std::string name;            // as Transformers names it
  std::vector<int64_t> shape;  // matrices: [out_features, in_features]
};

// All tensors that a model of this configuration needs.
std::vector<ExpectedTensor> ExpectedTensors(const ModelConfig& config);

}  // namespace fastkv

#endif  // FASTKV_MODEL_MODEL_CONFIG_H_
