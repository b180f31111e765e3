// What generation_config.json says about how a model likes to be sampled.
#ifndef FASTKV_MODEL_GENERATION_CONFIG_H_
#define FASTKV_MODEL_GENERATION_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/json.h"
#include "model/model_config.h"

namespace fastkv {

// Defaults are those of Transformers, for a folder without the file.
struct GenerationConfig {
  std::vector<int64_t> eos_token_ids;  // sorted; those of the file and those of the model together
  bool do_sample = false;              // false: always the likeliest token, whatever stands below
  double temperature = 1;
  int64_t top_k = 50;  // 0: no limit
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  std::optional<int64_t> max_new_tokens;
};

// The configuration of a folder without generation_config.json.
GenerationConfig DefaultGenerationConfig(const ModelConfig& model);

// Reads the parsed file; `context` names it in messages. Errors: kFormat.
Result<GenerationConfig> ParseGenerationConfig(const Json& json, const std::string& context,
                                               const ModelConfig& model);

}  // namespace fastkv

#endif  // FASTKV_MODEL_GENERATION_CONFIG_H_
