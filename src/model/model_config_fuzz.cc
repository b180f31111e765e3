// config.json and generation_config.json: what is accepted must hold to the limits that the program
// counts on.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "io/json.h"
#include "model/check_config_for_fuzz.h"
#include "model/generation_config.h"
#include "model/model_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = fastkv::ParseJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!json.ok()) return 0;
  const auto config = fastkv::ParseModelConfig(*json, "config.json");
  if (config.ok()) {
    fastkv::CheckConfig(*config);
  } else {
    FASTKV_CHECK(config.status().message().find('\n') == std::string::npos);
  }
  fastkv::ModelConfig model;
  model.vocab_size = 512;
  const auto generation = fastkv::ParseGenerationConfig(*json, "generation_config.json", model);
  if (generation.ok()) {
    FASTKV_CHECK(std::isfinite(generation->temperature));
    for (const int64_t id : generation->eos_token_ids) FASTKV_CHECK_LT(id, model.vocab_size);
  }
  return 0;
}
