// The weights of a model folder as a WeightSource.
#ifndef FASTKV_MODEL_FOLDER_WEIGHTS_H_
#define FASTKV_MODEL_FOLDER_WEIGHTS_H_

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors.h"
#include "model/weight_source.h"
#include "tensor/buffer.h"

namespace fastkv {

// Views into the mapped files; only tensors that a file does not align for their type are copied.
class FolderWeights final : public WeightSource {
 public:
  // `allocator` serves the copies and must outlive this object.
  FolderWeights(SafetensorsModel weights, Allocator& allocator)
      : weights_(std::move(weights)), allocator_(allocator) {}

  Result<ConstTensorView> Tensor(const std::string& name,
                                 std::initializer_list<int64_t> shape) override;

  Status CheckUndamaged() const override { return weights_.CheckUndamaged(); }

 private:
  SafetensorsModel weights_;
  Allocator& allocator_;
  std::vector<Buffer> copies_;
};

}  // namespace fastkv

#endif  // FASTKV_MODEL_FOLDER_WEIGHTS_H_
