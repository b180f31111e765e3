// GGUF files. The first byte says what the rest is: 0 a whole file, 1 what follows the two counts
// (which are the two bytes before it), 2 the first part of a model in two parts.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/gguf.h"
#include "io/gguf_bytes.h"
#include "io/memory_file_system.h"

namespace {

// Reads the first and the last byte of every tensor, and every value in every way.
void Touch(const fastkv::GgufFiles& model) {
  uint64_t sum = 0;
  for (const fastkv::GgufFiles::Place& place : model.tensors()) {
    FASTKV_CHECK_GT(place.tensor->size_bytes, 0);
    sum += static_cast<uint64_t>(place.data[0]);
    sum += static_cast<uint64_t>(place.data[place.tensor->size_bytes - 1]);
    FASTKV_CHECK(model.Find(place.tensor->name)->data == place.data);
  }
  const fastkv::GgufMetadata& metadata = model.metadata();
  for (const std::string_view key : metadata.Keys()) {
    const bool some_type = metadata.Int(key, INT64_MIN, INT64_MAX).ok() ||
                           metadata.Number(key, -1e300, 1e300).ok() || metadata.Bool(key).ok() ||
                           metadata.String(key).ok() || metadata.Strings(key, 1 << 20).ok() ||
                           metadata.Ints(key, 1 << 20).ok() || metadata.Floats(key, 1 << 20).ok();
    sum += static_cast<uint64_t>(some_type);
  }
  FASTKV_CHECK_LE(0, sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  fastkv::MemoryFileSystem files;
  const std::string path = "/m/x-00001-of-00002.gguf";
  switch (data[0]) {
    case 0:
    case 2:
      files.Put(path, rest);
      break;
    case 1:
      files.Put(path, "GGUF" + fastkv::GgufBytes::Raw<uint32_t>(3) +
                          fastkv::GgufBytes::Raw<uint64_t>(data[1]) +
                          fastkv::GgufBytes::Raw<uint64_t>(data[2]) + rest.substr(2));
      break;
    default:
      return 0;
  }
  if (data[0] == 2) {
    files.Put("/m/x-00002-of-00002.gguf",
              fastkv::GgufBytes()
                  .Key("split.no", 2, fastkv::GgufBytes::Raw<uint16_t>(1))
                  .Key("split.count", 2, fastkv::GgufBytes::Raw<uint16_t>(2))
                  .Tensor("w", {1}, 0, "1234")
                  .Build());
  }
  const auto model = fastkv::GgufFiles::Open(files, path);
  if (model.ok()) {
    Touch(*model);
  } else {
    FASTKV_CHECK(model.status().message().find('\n') == std::string::npos);
  }
  return 0;
}
