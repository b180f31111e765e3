// GGUF files as models: what is accepted must hold to the limits that the program counts on, and
// give every tensor in its shape.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/limits.h"
#include "io/memory_file_system.h"
#include "model/gguf_model.h"
#include "model/open_model.h"
#include "model/rope_frequencies.h"

namespace {

constexpr char kPath[] = "/m/x.gguf";

void CheckConfig(const fastkv::ModelConfig& config) {
  FASTKV_CHECK_GT(config.num_kv_heads, 0);
  FASTKV_CHECK_EQ(config.num_q_heads % config.num_kv_heads, 0);
  FASTKV_CHECK_EQ(config.head_dim % 2, 0);
  FASTKV_CHECK_GT(config.head_dim, 0);
  FASTKV_CHECK_LE(config.head_dim, fastkv::limits::kMaxHeadDim);
  FASTKV_CHECK_EQ(config.sliding_window.size(), config.num_layers);
  for (const int64_t id : config.eos_token_ids) FASTKV_CHECK_LT(id, config.vocab_size);
  const fastkv::RopeFrequencies rope = fastkv::ComputeRopeFrequencies(config.rope, config.head_dim);
  FASTKV_CHECK(std::isfinite(rope.attention_factor));
  for (const float frequency : rope.inverse_frequencies) {
    FASTKV_CHECK(std::isfinite(frequency) && frequency >= 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fastkv::MemoryFileSystem files;
  files.Put(kPath, std::string(reinterpret_cast<const char*>(data), size));
  const auto described = fastkv::GgufModel::Load(files, kPath);
  if (!described.ok()) {
    FASTKV_CHECK(described.status().message().find('\n') == std::string::npos);
    return 0;
  }
  (void)fastkv::DescribeGguf(*described);
  const auto model = fastkv::OpenModel(files, kPath, 1, fastkv::SystemAllocator());
  FASTKV_CHECK(model.ok());
  CheckConfig(model->config);
  (void)fastkv::CheckWeightsFinite(model->config, *model->weights);
  return 0;
}
