// How the values of a weight matrix are stored: element by element, or in blocks of a few bits a
// value that share scales (the formats of GGUF files).
#ifndef FASTKV_TENSOR_STORED_TYPE_H_
#define FASTKV_TENSOR_STORED_TYPE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "tensor/dtype.h"

namespace fastkv {

enum class StoredType {
  kF32,
  kBF16,
  kF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K,
  kIQ4NL,
  kIQ4XS,
};
inline constexpr int kNumStoredTypes = 15;

// Values that are stored together, and the bytes they take. A row of a matrix is a whole number of
// blocks.
struct BlockSize {
  int64_t num_values = 1;
  int64_t num_bytes = 1;
};

constexpr BlockSize BlockOf(StoredType type) {
  switch (type) {
    case StoredType::kF32:
      return {1, 4};
    case StoredType::kBF16:
    case StoredType::kF16:
      return {1, 2};
    case StoredType::kQ4_0:
    case StoredType::kIQ4NL:
      return {32, 18};
    case StoredType::kQ4_1:
      return {32, 20};
    case StoredType::kQ5_0:
      return {32, 22};
    case StoredType::kQ5_1:
      return {32, 24};
    case StoredType::kQ8_0:
      return {32, 34};
    case StoredType::kQ2K:
      return {256, 84};
    case StoredType::kQ3K:
      return {256, 110};
    case StoredType::kQ4K:
      return {256, 144};
    case StoredType::kQ5K:
      return {256, 176};
    case StoredType::kQ6K:
      return {256, 210};
    case StoredType::kIQ4XS:
      return {256, 136};
  }
  return {};
}

// The integers that the four bits of IQ4_NL and IQ4_XS stand for; aligned for look-ups in
// registers.
alignas(16) inline constexpr int8_t kNonLinearIntegers[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// "F32", "Q4_K": the names that GGUF files are known by.
constexpr std::string_view StoredTypeName(StoredType type) {
  constexpr std::string_view kNames[kNumStoredTypes] = {"F32",  "BF16", "F16",  "Q4_0",   "Q4_1",
                                                        "Q5_0", "Q5_1", "Q8_0", "Q2_K",   "Q3_K",
                                                        "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"};
  return kNames[static_cast<int>(type)];
}

// The type of that name, in lower or upper case.
constexpr std::optional<StoredType> FindStoredType(std::string_view name) {
  const auto upper = [](char c) { return 'a' <= c && c <= 'z' ? static_cast<char>(c - 32) : c; };
  for (int i = 0; i < kNumStoredTypes; ++i) {
    const auto type = static_cast<StoredType>(i);
    const std::string_view candidate = StoredTypeName(type);
    bool same = candidate.size() == name.size();
    for (size_t c = 0; same && c < name.size(); ++c) same = upper(name[c]) == candidate[c];
    if (same) return type;
  }
  return std::nullopt;
}

// Every value stands for itself: no scales.
constexpr bool IsElementType(StoredType type) { return type <= StoredType::kF16; }

// REQUIRES: IsElementType(type).
constexpr DType ElementTypeOf(StoredType type) {
  FASTKV_CHECK(IsElementType(type));
  return type == StoredType::kF32    ? DType::kF32
         : type == StoredType::kBF16 ? DType::kBF16
                                     : DType::kF16;
}

// REQUIRES: f32, bf16 or f16.
constexpr StoredType StoredTypeOf(DType dtype) {
  FASTKV_CHECK(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16);
  return dtype == DType::kF32    ? StoredType::kF32
         : dtype == DType::kBF16 ? StoredType::kBF16
                                 : StoredType::kF16;
}

// Bytes of `num_values` values. REQUIRES: num_values is a whole number of blocks.
constexpr int64_t RowBytes(StoredType type, int64_t num_values) {
  const BlockSize block = BlockOf(type);
  FASTKV_CHECK_EQ(num_values % block.num_values, 0);
  return num_values / block.num_values * block.num_bytes;
}

}  // namespace fastkv

#endif  // FASTKV_TENSOR_STORED_TYPE_H_
