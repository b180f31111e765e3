// Rotary position embedding: how a model's configuration turns positions into angles.
#ifndef FASTKV_MODEL_ROPE_FREQUENCIES_H_
#define FASTKV_MODEL_ROPE_FREQUENCIES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "io/json.h"

namespace fastkv {

enum class RopeKind {
  kDefault,
  kLinear,  // all frequencies divided by `factor`
  kLlama3,  // low frequencies divided by `factor`, with a smooth passage (Llama 3.1)
  kYarn,    // arXiv 2309.00071
};

struct RopeConfig {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10000;
  double factor = 1;  // how much longer the context is than the one trained on
  // Llama 3 and YaRN: the context trained on, in tokens.
  int64_t original_max_position_embeddings = 0;
  // Llama 3: bounds of the passage, in turns over the original context; low < high.
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  // YaRN: dimensions that turn more often than beta_fast over the original context stay as they
  // are, those that turn less often than beta_slow are divided by `factor`.
  double beta_fast = 32;
  double beta_slow = 1;
  bool truncate = true;  // round the bounds between them to whole dimensions
  // YaRN: given, or derived from mscale and mscale_all_dim when both are there, or from `factor`.
  std::optional<double> attention_factor;
  double mscale = 0;          // 0: not given
  double mscale_all_dim = 0;  // 0: not given

  // [head_dim / 2] or empty: each pair's frequency is divided by its own number, as GGUF files
  // write the scaling of Llama 3.1.
  std::vector<float> divisors;

  // Round the frequencies to bfloat16, as they are in a Transformers model that was cast to
  // bfloat16 as a whole after it was made. Loading a checkpoint leaves them in float32, which is
  // the default; at thousands of tokens the two give different models.
  bool round_to_bf16 = false;
};

// Reads rope_parameters, or in older files rope_theta and rope_scaling, from the top level of
// config.json. Errors: kFormat, kUnsupported (other kinds of RoPE).
Result<RopeConfig> ParseRopeConfig(const JsonFields& config, int64_t max_position_embeddings);

struct RopeFrequencies {
  // [head_dim / 2]: the angle between neighbouring positions, in radians, of each pair of
  // dimensions.
  std::vector<float> inverse_frequencies;
  // Cosine and sine are multiplied by it.
  float attention_factor = 1;
};

// In the precision and order of Transformers 5. REQUIRES: a config from ParseRopeConfig, an even
// head_dim above 0.
RopeFrequencies ComputeRopeFrequencies(const RopeConfig& config, int64_t head_dim);

}  // namespace fastkv

#endif  // FASTKV_MODEL_ROPE_FREQUENCIES_H_
