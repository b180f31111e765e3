// A model's profile: what is accepted names a layer that the model can be cut behind.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "io/json.h"
#include "model/model_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fastkv::ModelConfig config;
  config.num_layers = 16;
  const auto json = fastkv::ParseJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!json.ok()) return 0;
  const auto profile = fastkv::ParseModelProfile(*json, "fastkv.json", config);
  if (profile.ok()) {
    FASTKV_CHECK_GE(profile->tsp_layer, 0);
    FASTKV_CHECK_LE(profile->tsp_layer, config.num_layers - 2);
  } else {
    FASTKV_CHECK(profile.status().message().find('\n') == std::string::npos);
  }
  return 0;
}
