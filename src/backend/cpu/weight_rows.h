// How the rows of a weight lie in memory: as the checkpoint stores them, or packed into blocks. A
// format is an entry of WeightFormat, its BlockOf, and its WeightKernels (kernels.h); nothing else
// asks which one a weight has.
#ifndef FASTKV_BACKEND_CPU_WEIGHT_ROWS_H_
#define FASTKV_BACKEND_CPU_WEIGHT_ROWS_H_

#include <cstdint>

#include "tensor/stored_type.h"

namespace fastkv::cpu {

// Every stored type, under its own number, and kInt8.
enum class WeightFormat {
  kF32 = static_cast<int>(StoredType::kF32),
  kBF16 = static_cast<int>(StoredType::kBF16),
  kF16 = static_cast<int>(StoredType::kF16),
  kInt8 = kNumStoredTypes,  // bytes in [-127, 127]; a row is its bytes times the row's scale
};
inline constexpr int kNumWeightFormats = kNumStoredTypes + 1;

constexpr WeightFormat FormatOf(StoredType type) { return static_cast<WeightFormat>(type); }
// REQUIRES: f32, bf16 or f16.
constexpr WeightFormat FormatOf(DType dtype) { return FormatOf(StoredTypeOf(dtype)); }

constexpr BlockSize BlockOf(WeightFormat format) {
  if (format == WeightFormat::kInt8) return {1, 1};
  return fastkv::BlockOf(static_cast<StoredType>(format));
}

// A matrix [num_rows, depth] by rows. Does not own its memory.
struct WeightRows {
  const void* data = nullptr;
  WeightFormat format = WeightFormat::kF32;
  int64_t row_bytes = 0;  // from one row to the next
  int64_t num_rows = 0;
  const float* scales = nullptr;  // [num_rows]: what each row is multiplied with; nullptr: nothing

  // Where column `column`, the first of a block, of a row begins.
  const void* At(int64_t row, int64_t column) const {
    const BlockSize block = BlockOf(format);
    return static_cast<const char*>(data) + row * row_bytes +
           column / block.num_values * block.num_bytes;
  }
};

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_WEIGHT_ROWS_H_
