#include "tensor/buffer.h"

#include <string>
#include <utility>

namespace fastkv {

Buffer::Buffer(Buffer&& other) noexcept
    : allocator_(std::exchange(other.allocator_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      num_bytes_(std::exchange(other.num_bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Reset();
    allocator_ = std::exchange(other.allocator_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    num_bytes_ = std::exchange(other.num_bytes_, 0);
  }
  return *this;
}

Result<Buffer> Buffer::Allocate(Allocator& allocator, int64_t num_bytes, const char* purpose) {
  FASTKV_CHECK_GE(num_bytes, 0);
  Buffer buffer;
  if (num_bytes == 0) return buffer;
  buffer.data_ = allocator.Allocate(static_cast<size_t>(num_bytes));
  if (buffer.data_ == nullptr) {
    return MemoryError("no memory for " + std::string(purpose) + ": " + std::to_string(num_bytes) +
                       " bytes wanted");
  }
  buffer.allocator_ = &allocator;
  buffer.num_bytes_ = num_bytes;
  return buffer;
}

void Buffer::Reset() {
  if (data_ != nullptr) allocator_->Free(data_, static_cast<size_t>(num_bytes_));
  data_ = nullptr;
  num_bytes_ = 0;
}

TensorView Buffer::View(DType dtype, std::initializer_list<int64_t> dims) const {
  TensorView view(data_, dtype, dims);
  FASTKV_CHECK_LE(view.num_elements() * DTypeBytes(dtype), num_bytes_);
  return view;
}

}  // namespace fastkv
