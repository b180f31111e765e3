// A tensor as a model file holds it.
#ifndef FASTKV_IO_HOST_TENSOR_H_
#define FASTKV_IO_HOST_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "tensor/dtype.h"

namespace fastkv {

// Does not own its data: valid for as long as the file object it came from. `data` is packed,
// little endian, and need not be aligned for its element type (is_aligned); then copy it before
// use.
struct HostTensor {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  std::vector<int64_t>
      shape;  // slowest dimension first, up to limits::kMaxTensorRank; {} is a scalar

  int64_t num_elements() const {
    int64_t count = 1;
    for (int64_t dim : shape) count *= dim;
    return count;
  }
  int64_t num_bytes() const { return num_elements() * DTypeBytes(dtype); }
  bool is_aligned() const {
    return reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(DTypeBytes(dtype)) == 0;
  }
};

// kNumeric, with the index of the first element that is NaN or infinite. Integer tensors are fine.
Status CheckFinite(const HostTensor& tensor);

}  // namespace fastkv

#endif  // FASTKV_IO_HOST_TENSOR_H_
