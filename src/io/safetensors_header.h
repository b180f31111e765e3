// The header of a safetensors file: names, types, shapes and places of its tensors.
//
// The format: 8 bytes with the header's length (little endian), the header (a JSON object), then
// the data, which the tensors must cover without gap or overlap.
#ifndef FASTKV_IO_SAFETENSORS_HEADER_H_
#define FASTKV_IO_SAFETENSORS_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/dtype.h"

namespace fastkv {

struct TensorEntry {
  std::string name;
  std::string dtype_name;      // as written in the file, such as "BF16"
  std::optional<DType> dtype;  // set for the types fastkv computes with: F32, BF16, F16
  std::vector<int64_t> shape;  // slowest dimension first
  uint64_t offset_bytes = 0;   // from the start of the file
  uint64_t size_bytes = 0;     // the shape's product times the element's size
};

// Reads the description of a whole file and checks it against the file's size. The result is sorted
// by name. Works in memory of a few times the header's size, whatever the header claims. Errors:
// kFormat, kLimit (header length, number of tensors, rank); messages name the tensor.
Result<std::vector<TensorEntry>> ParseSafetensorsHeader(std::span<const std::byte> file);

}  // namespace fastkv

#endif  // FASTKV_IO_SAFETENSORS_HEADER_H_
