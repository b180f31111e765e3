// Reads and writes tensor elements as doubles, whatever type they are stored in.
#ifndef FASTKV_BACKEND_REFERENCE_ELEMENTS_H_
#define FASTKV_BACKEND_REFERENCE_ELEMENTS_H_

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/float16.h"
#include "tensor/tensor_view.h"

namespace fastkv::reference {

// REQUIRES: dtype is a floating type or i8.
inline double LoadElement(const void* data, DType dtype, int64_t index) {
  switch (dtype) {
    case DType::kF32:
      return static_cast<const float*>(data)[index];
    case DType::kBF16:
      return ToFloat(static_cast<const BFloat16*>(data)[index]);
    case DType::kF16:
      return ToFloat(static_cast<const Float16*>(data)[index]);
    case DType::kI8:
      return static_cast<const int8_t*>(data)[index];
    default:
      FASTKV_CHECK_MSG(false, "not a type that is computed with");
      return 0;
  }
}

// Rounds to nearest even. bfloat16 goes through float32, as on every back end.
// REQUIRES: dtype is f32 or bf16.
inline void StoreElement(void* data, DType dtype, int64_t index, double value) {
  switch (dtype) {
    case DType::kF32:
      static_cast<float*>(data)[index] = static_cast<float>(value);
      return;
    case DType::kBF16:
      static_cast<BFloat16*>(data)[index] = ToBFloat16(static_cast<float>(value));
      return;
    default:
      FASTKV_CHECK_MSG(false, "not a type that results are stored in");
  }
}

// Where the last dimension begins at the given leading indices, in elements.
template <typename Pointer, typename... Index>
int64_t RowOffset(const BasicTensorView<Pointer>& view, Index... index) {
  FASTKV_CHECK_EQ(sizeof...(index) + 1, view.rank());
  int64_t offset = 0;
  int dimension = 0;
  ((offset += index * view.stride(dimension++)), ...);
  return offset;
}

template <typename... Index>
std::vector<double> LoadRow(const ConstTensorView& view, Index... index) {
  const int64_t offset = RowOffset(view, index...);
  std::vector<double> row(view.dim(view.rank() - 1));
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = LoadElement(view.data(), view.dtype(), offset + static_cast<int64_t>(i));
  }
  return row;
}

template <typename... Index>
void StoreRow(const TensorView& view, const std::vector<double>& row, Index... index) {
  FASTKV_CHECK_EQ(row.size(), view.dim(view.rank() - 1));
  const int64_t offset = RowOffset(view, index...);
  for (size_t i = 0; i < row.size(); ++i) {
    StoreElement(view.data(), view.dtype(), offset + static_cast<int64_t>(i), row[i]);
  }
}

}  // namespace fastkv::reference

#endif  // FASTKV_BACKEND_REFERENCE_ELEMENTS_H_
