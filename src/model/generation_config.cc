#include "model/generation_config.h"

#include <algorithm>

#include "base/limits.h"

namespace fastkv {
namespace {

void SortUnique(std::vector<int64_t>* ids) {
  std::sort(ids->begin(), ids->end());
  ids->erase(std::unique(ids->begin(), ids->end()), ids->end());
}

}  // namespace

GenerationConfig DefaultGenerationConfig(const ModelConfig& model) {
  GenerationConfig config;
  config.eos_token_ids = model.eos_token_ids;
  SortUnique(&config.eos_token_ids);
  return config;
}

Result<GenerationConfig> ParseGenerationConfig(const Json& json, const std::string& context,
                                               const ModelConfig& model) {
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, context));
  GenerationConfig config;
  FASTKV_ASSIGN_OR_RETURN(config.eos_token_ids,
                          ParseTokenIds(fields, "eos_token_id", model.vocab_size));
  config.eos_token_ids.insert(config.eos_token_ids.end(), model.eos_token_ids.begin(),
                              model.eos_token_ids.end());
  SortUnique(&config.eos_token_ids);
  FASTKV_ASSIGN_OR_RETURN(config.do_sample, fields.BoolOr("do_sample", config.do_sample));
  FASTKV_ASSIGN_OR_RETURN(config.temperature,
                          fields.NumberOr("temperature", config.temperature, 0, 1e6));
  FASTKV_ASSIGN_OR_RETURN(config.top_k,
                          fields.IntOr("top_k", config.top_k, 0, limits::kMaxVocabSize));
  FASTKV_ASSIGN_OR_RETURN(config.top_p, fields.NumberOr("top_p", config.top_p, 0, 1));
  FASTKV_ASSIGN_OR_RETURN(config.min_p, fields.NumberOr("min_p", config.min_p, 0, 1));
  FASTKV_ASSIGN_OR_RETURN(
      config.repetition_penalty,
      fields.NumberOr("repetition_penalty", config.repetition_penalty, 1e-3, 1e3));
  if (fields.Has("max_new_tokens")) {
    FASTKV_ASSIGN_OR_RETURN(config.max_new_tokens,
                            fields.Int("max_new_tokens", 1, limits::kMaxContextTokens));
  }
  return config;
}

}  // namespace fastkv
