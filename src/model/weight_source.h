// Where a model's weights come from: a folder's files, or seeded random numbers for speed
// measurements.
#ifndef FASTKV_MODEL_WEIGHT_SOURCE_H_
#define FASTKV_MODEL_WEIGHT_SOURCE_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/status.h"
#include "tensor/tensor_view.h"
#include "tensor/weight_view.h"

namespace fastkv {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // The vector or matrix `name` in host memory, f32, f16 or bf16, with exactly this shape. The data
  // stays alive and unchanged as long as the source. Errors: kFormat (missing, other shape or
  // type), kMemory.
  virtual Result<ConstTensorView> Tensor(const std::string& name,
                                         std::initializer_list<int64_t> shape) = 0;
  // The matrix `name` as it is stored, in any type, with exactly this shape; otherwise as Tensor.
  // A source whose matrices are all f32, f16 or bf16 need not override it.
  virtual Result<WeightView> Matrix(const std::string& name, int64_t num_rows,
                                    int64_t num_columns) {
    FASTKV_ASSIGN_OR_RETURN(const ConstTensorView matrix, Tensor(name, {num_rows, num_columns}));
    return ToWeightView(matrix);
  }
  // kIo where data that was handed out has changed since: results cannot be trusted.
  virtual Status CheckUndamaged() const { return OkStatus(); }
};

}  // namespace fastkv

#endif  // FASTKV_MODEL_WEIGHT_SOURCE_H_
