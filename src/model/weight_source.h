// Where a model's weights come from: a folder's files, or seeded random numbers for speed
// measurements.
#ifndef FASTKV_MODEL_WEIGHT_SOURCE_H_
#define FASTKV_MODEL_WEIGHT_SOURCE_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/status.h"
#include "tensor/tensor_view.h"

namespace fastkv {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // The tensor `name` in host memory, f32, f16 or bf16, with exactly this shape. The data stays
  // alive and unchanged as long as the source. Errors: kFormat (missing, other shape or type),
  // kMemory.
  virtual Result<ConstTensorView> Tensor(const std::string& name,
                                         std::initializer_list<int64_t> shape) = 0;
  // kIo where data that was handed out has changed since: results cannot be trusted.
  virtual Status CheckUndamaged() const { return OkStatus(); }
};

}  // namespace fastkv

#endif  // FASTKV_MODEL_WEIGHT_SOURCE_H_
