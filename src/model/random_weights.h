// Seeded random weights in the sizes of a configuration: any model's speed without its checkpoint.
#ifndef FASTKV_MODEL_RANDOM_WEIGHTS_H_
#define FASTKV_MODEL_RANDOM_WEIGHTS_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>

#include "base/allocator.h"
#include "base/check.h"
#include "base/status.h"
#include "model/weight_source.h"
#include "tensor/buffer.h"

namespace fastkv {

// Matrices have mean 0 and standard deviation 1/sqrt(in_features), so that a product keeps the size
// of its input: bf16 in the shape of a bell, or random integers in blocks. Other vectors are 1 and
// biases 0, in f32. Every tensor has memory of its own, as a checkpoint's have. A tensor depends on
// the seed, its name, its type and its shape alone.
//
// Not thread-safe.
class RandomWeights final : public WeightSource {
 public:
  // Tensors are made on `num_threads` threads when they are first asked for. `allocator` must
  // outlive the source. REQUIRES: `type` is bf16 or a type of blocks.
  RandomWeights(uint64_t seed, int num_threads, Allocator& allocator,
                StoredType type = StoredType::kBF16)
      : seed_(seed), num_threads_(num_threads), allocator_(allocator), type_(type) {
    FASTKV_CHECK(type == StoredType::kBF16 || !IsElementType(type));
  }

  // The type that a matrix has in a model that is stored as `type`, by the rules that quantisers
  // follow: the embedding and the output matrix get Q6_K where `type` has fewer bits, and a matrix
  // whose rows are no whole number of blocks the next larger type with shorter blocks. Errors:
  // kInvalidArgument where there is none.
  static Result<StoredType> TypeOfMatrix(StoredType type, const std::string& name,
                                         int64_t num_columns);

  // A vector, or a matrix in bf16. Errors: kMemory.
  Result<ConstTensorView> Tensor(const std::string& name,
                                 std::initializer_list<int64_t> shape) override;
  // Errors: kMemory, and those of TypeOfMatrix.
  Result<WeightView> Matrix(const std::string& name, int64_t num_rows,
                            int64_t num_columns) override;

 private:
  void FillMatrix(uint64_t tensor_seed, TensorView matrix) const;
  void FillBlocks(uint64_t tensor_seed, const WeightView& matrix, void* out) const;
  // The memory of `name`, and whether it was made by this call.
  struct Memory {
    void* data;
    bool is_new;
  };
  Result<Memory> MemoryOf(const std::string& name, int64_t num_bytes);

  const uint64_t seed_;
  const int num_threads_;
  Allocator& allocator_;
  const StoredType type_;
  std::map<std::string, Buffer> tensors_;
};

}  // namespace fastkv

#endif  // FASTKV_MODEL_RANDOM_WEIGHTS_H_
