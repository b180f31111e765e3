// Element types of tensors, as stored.
#ifndef FASTKV_TENSOR_DTYPE_H_
#define FASTKV_TENSOR_DTYPE_H_

#include <cstdint>
#include <string_view>

#include "base/check.h"

namespace fastkv {

enum class DType { kF32, kBF16, kF16, kI32, kI8 };

constexpr int64_t DTypeBytes(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
      return 2;
    case DType::kI8:
      return 1;
  }
  return 0;
}

constexpr std::string_view DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      return "f16";
    case DType::kI32:
      return "i32";
    case DType::kI8:
      return "int8";
  }
  return "?";
}

}  // namespace fastkv

#endif  // FASTKV_TENSOR_DTYPE_H_
