// How the rows of a weight lie in memory: as the checkpoint stores them, or packed into blocks. A
// format is an entry of WeightFormat, its BlockOf, and its WeightKernels (kernels.h); nothing else
// asks which one a weight has.
#ifndef FASTKV_BACKEND_CPU_WEIGHT_ROWS_H_
#define FASTKV_BACKEND_CPU_WEIGHT_ROWS_H_

#include <cstdint>

#include "base/check.h"
#include "tensor/tensor_view.h"

namespace fastkv::cpu {

enum class WeightFormat {
  kF32,
  kBF16,
  kF16,
  kInt8,  // signed bytes in [-127, 127]; a row is its bytes times the row's scale
};
inline constexpr int kNumWeightFormats = 4;

// The values that are stored together, in bytes; a row is a whole number of blocks.
struct WeightBlock {
  int64_t num_values = 1;
  int64_t num_bytes = 1;
};

constexpr WeightBlock BlockOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return {1, 4};
    case WeightFormat::kBF16:
    case WeightFormat::kF16:
      return {1, 2};
    case WeightFormat::kInt8:
      return {1, 1};
  }
  return {};
}

// The format of stored elements. REQUIRES: f32, bf16 or f16.
constexpr WeightFormat FormatOf(DType dtype) {
  FASTKV_CHECK(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16);
  return dtype == DType::kF32    ? WeightFormat::kF32
         : dtype == DType::kBF16 ? WeightFormat::kBF16
                                 : WeightFormat::kF16;
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
    const WeightBlock block = BlockOf(format);
    return static_cast<const char*>(data) + row * row_bytes +
           column / block.num_values * block.num_bytes;
  }
};

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_WEIGHT_ROWS_H_
