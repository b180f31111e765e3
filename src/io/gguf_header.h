// What a GGUF file says about itself: metadata, and names, types, shapes and places of its tensors.
//
// The format (ggml-org/ggml, docs/gguf.md), versions 2 and 3, little-endian: "GGUF", version,
// number of tensors, number of keys, the keys with their values, the tensors' descriptions, and
// from the next multiple of the alignment on the data.
#ifndef FASTKV_IO_GGUF_HEADER_H_
#define FASTKV_IO_GGUF_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/gguf_metadata.h"
#include "tensor/stored_type.h"

namespace fastkv {

struct GgufTensor {
  std::string name;
  StoredType type = StoredType::kF32;
  // Slowest dimension first, the reverse of the file's order; none is 0, and the last one is a
  // whole number of the type's blocks.
  std::vector<int64_t> shape;
  uint64_t offset_bytes = 0;  // from the start of the file
  uint64_t size_bytes = 0;
};

struct GgufHeader {
  uint32_t version = 0;
  GgufMetadata metadata;            // views into the file's bytes
  std::vector<GgufTensor> tensors;  // sorted by name
};

// Whether these are the first bytes of a GGUF file of any version.
bool LooksLikeGguf(std::span<const std::byte> file);

// Reads the description of a whole file and checks it against the file's size; every tensor lies in
// the file, and no two of them overlap. Takes memory in proportion to what the file really holds,
// whatever it claims. Errors: kFormat, kLimit, kUnsupported (version, byte order, element type);
// messages name the key or tensor.
Result<GgufHeader> ParseGgufHeader(std::span<const std::byte> file);

}  // namespace fastkv

#endif  // FASTKV_IO_GGUF_HEADER_H_
