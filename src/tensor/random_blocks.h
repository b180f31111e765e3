// Random weights in blocks, for speed measurements and tests.
#ifndef FASTKV_TENSOR_RANDOM_BLOCKS_H_
#define FASTKV_TENSOR_RANDOM_BLOCKS_H_

#include <cstdint>

#include "base/random.h"
#include "tensor/stored_type.h"

namespace fastkv {

// Blocks of random bits, all with the same scale, and the offset that gives values the mean 0.
// Immutable; thread-safe.
class RandomBlocks {
 public:
  // REQUIRES: a type of blocks.
  explicit RandomBlocks(StoredType type);

  // Writes `num_values`, a whole number of blocks, with about the standard deviation `deviation`:
  // scales are half floats.
  void Fill(float deviation, int64_t num_values, Random& random, void* out) const;

 private:
  StoredType type_;
  float unit_deviation_ = 1;  // with a scale of 1
};

}  // namespace fastkv

#endif  // FASTKV_TENSOR_RANDOM_BLOCKS_H_
