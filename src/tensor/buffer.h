// The owner of one block of memory of one device.
#ifndef FASTKV_TENSOR_BUFFER_H_
#define FASTKV_TENSOR_BUFFER_H_

#include <cstdint>
#include <initializer_list>

#include "base/allocator.h"
#include "base/status.h"
#include "tensor/tensor_view.h"

namespace fastkv {

// Move-only; frees on destruction. The allocator must outlive the buffer.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Reset(); }

  // Takes `num_bytes` >= 0 (0 gives an empty buffer). Contents are undefined.
  // Errors: kMemory, naming `purpose` and the size.
  static Result<Buffer> Allocate(Allocator& allocator, int64_t num_bytes, const char* purpose);

  void Reset();
  void* data() const { return data_; }
  int64_t num_bytes() const { return num_bytes_; }

  // A packed view of the first elements. REQUIRES: it fits.
  TensorView View(DType dtype, std::initializer_list<int64_t> dims) const;

 private:
  Allocator* allocator_ = nullptr;
  void* data_ = nullptr;
  int64_t num_bytes_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_TENSOR_BUFFER_H_
