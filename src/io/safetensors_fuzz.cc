// Safetensors files and indexes. The first byte says what the rest is: 0 a whole file, 1 a header
// (so that the length before it need not be guessed) behind a byte with the size of the data, 2 an
// index.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/memory_file_system.h"
#include "io/safetensors.h"
#include "io/safetensors_bytes.h"

namespace {

// Reads the first and the last byte of every tensor that can be viewed.
void TouchTensors(const fastkv::SafetensorsModel& model) {
  uint64_t sum = 0;
  for (const fastkv::SafetensorsFile& shard : model.shards()) {
    for (const fastkv::TensorEntry& entry : shard.tensors()) {
      const auto tensor = model.Tensor(entry.name);
      FASTKV_CHECK(tensor.ok() == entry.dtype.has_value());
      if (!tensor.ok()) continue;
      FASTKV_CHECK_EQ(tensor->num_bytes(), entry.size_bytes);
      if (tensor->num_bytes() == 0) continue;
      sum += static_cast<uint64_t>(tensor->data[0]);
      sum += static_cast<uint64_t>(tensor->data[tensor->num_bytes() - 1]);
      (void)fastkv::CheckFinite(*tensor);
    }
  }
  FASTKV_CHECK_LE(0, sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  fastkv::MemoryFileSystem files;
  switch (data[0]) {
    case 0:
      files.Put("/m/model.safetensors", rest);
      break;
    case 1:
      files.Put("/m/model.safetensors",
                fastkv::SafetensorsBytes(rest.substr(1), std::string(data[1], 'd')));
      break;
    case 2:
      files.Put("/m/model.safetensors.index.json", rest);
      files.Put("/m/a", fastkv::SafetensorsBytes(
                            R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234"));
      files.Put("/m/b", fastkv::SafetensorsBytes(
                            R"({"y":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}})", "12"));
      break;
    default:
      return 0;
  }
  const auto model = fastkv::SafetensorsModel::Open(files, "/m");
  if (model.ok()) {
    TouchTensors(*model);
  } else {
    FASTKV_CHECK(model.status().message().find('\n') == std::string::npos);
  }
  return 0;
}
