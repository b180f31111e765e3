// Seeded random weights in the sizes of a configuration: any model's speed without its checkpoint.
#ifndef FASTKV_MODEL_RANDOM_WEIGHTS_H_
#define FASTKV_MODEL_RANDOM_WEIGHTS_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>

#include "base/allocator.h"
#include "base/status.h"
#include "model/weight_source.h"
#include "tensor/buffer.h"

namespace fastkv {

// Matrices are bf16 and bell-shaped around 0 with standard deviation 1/sqrt(in_features), so that a
// product keeps the size of its input; other vectors are 1 and biases 0, in f32. Every tensor has
// memory of its own, as a checkpoint's have. A tensor depends on the seed, its name and its shape
// alone.
//
// Not thread-safe.
class RandomWeights final : public WeightSource {
 public:
  // Tensors are made on `num_threads` threads when they are first asked for. `allocator` must
  // outlive the source.
  RandomWeights(uint64_t seed, int num_threads, Allocator& allocator)
      : seed_(seed), num_threads_(num_threads), allocator_(allocator) {}

  // Errors: kMemory.
  Result<ConstTensorView> Tensor(const std::string& name,
                                 std::initializer_list<int64_t> shape) override;

 private:
  void FillMatrix(uint64_t tensor_seed, TensorView matrix) const;

  const uint64_t seed_;
  const int num_threads_;
  Allocator& allocator_;
  std::map<std::string, Buffer> tensors_;
};

}  // namespace fastkv

#endif  // FASTKV_MODEL_RANDOM_WEIGHTS_H_
