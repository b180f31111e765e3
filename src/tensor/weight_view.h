// A weight matrix in host memory as a file stores it.
#ifndef FASTKV_TENSOR_WEIGHT_VIEW_H_
#define FASTKV_TENSOR_WEIGHT_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "tensor/stored_type.h"
#include "tensor/tensor_view.h"

namespace fastkv {

// [num_rows, num_columns] in rows of whole blocks. Non-owning. Elements of f32, bf16 and f16 are
// aligned for their type; blocks stand at any address.
struct WeightView {
  const void* data = nullptr;
  StoredType type = StoredType::kF32;
  int64_t num_rows = 0;
  int64_t num_columns = 0;
  int64_t row_bytes = 0;  // from one row to the next

  const std::byte* Row(int64_t row) const {
    return static_cast<const std::byte*>(data) + row * row_bytes;
  }
};

// Rows that follow each other. REQUIRES: num_columns is a whole number of blocks.
constexpr WeightView PackedRows(const void* data, StoredType type, int64_t num_rows,
                                int64_t num_columns) {
  return {.data = data,
          .type = type,
          .num_rows = num_rows,
          .num_columns = num_columns,
          .row_bytes = RowBytes(type, num_columns)};
}

// REQUIRES: `matrix` has two dimensions and is f32, bf16 or f16.
inline WeightView ToWeightView(const ConstTensorView& matrix) {
  FASTKV_CHECK_EQ(matrix.rank(), 2);
  return {.data = matrix.data(),
          .type = StoredTypeOf(matrix.dtype()),
          .num_rows = matrix.dim(0),
          .num_columns = matrix.dim(1),
          .row_bytes = matrix.stride(0) * DTypeBytes(matrix.dtype())};
}

}  // namespace fastkv

#endif  // FASTKV_TENSOR_WEIGHT_VIEW_H_
