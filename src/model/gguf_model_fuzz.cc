// GGUF files as models: what is accepted must hold to the limits that the program counts on, and
// give every tensor in its shape.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/memory_file_system.h"
#include "model/check_config_for_fuzz.h"
#include "model/gguf_model.h"
#include "model/open_model.h"

namespace {

constexpr char kPath[] = "/m/x.gguf";

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
  fastkv::CheckConfig(model->config);
  (void)fastkv::CheckWeightsFinite(model->config, *model->weights);
  return 0;
}
