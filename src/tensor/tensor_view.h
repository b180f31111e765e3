// Non-owning views of tensors: a pointer, an element type, a shape and strides. A view never frees
// and never outlives the Buffer (or mapping) it points into. The memory may be a device's.
#ifndef FASTKV_TENSOR_TENSOR_VIEW_H_
#define FASTKV_TENSOR_TENSOR_VIEW_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "base/check.h"
#include "tensor/dtype.h"

namespace fastkv {

inline constexpr int kMaxViewRank = 4;

// `Pointer` is void* (writable) or const void*. Strides count elements; the last one is always 1.
template <typename Pointer>
class BasicTensorView {
 public:
  // An empty view: no data. Stands for "not given" in operation parameters.
  BasicTensorView() = default;

  // A packed tensor, slowest dimension first.
  BasicTensorView(Pointer data, DType dtype, std::initializer_list<int64_t> dims)
      : data_(data), dtype_(dtype), rank_(static_cast<int>(dims.size())) {
    FASTKV_CHECK_LE(rank_, kMaxViewRank);
    int i = 0;
    for (int64_t dim : dims) dims_[i++] = dim;
    int64_t stride = 1;
    for (i = rank_ - 1; i >= 0; --i) {
      strides_[i] = stride;
      stride *= dims_[i];
    }
  }

  // A writable view is also a readable one.
  operator BasicTensorView<const void*>() const {  // NOLINT(google-explicit-constructor)
    BasicTensorView<const void*> view;
    view.data_ = data_;
    view.dtype_ = dtype_;
    view.rank_ = rank_;
    view.dims_ = dims_;
    view.strides_ = strides_;
    return view;
  }

  bool empty() const { return data_ == nullptr; }
  Pointer data() const { return data_; }
  DType dtype() const { return dtype_; }
  int rank() const { return rank_; }
  int64_t dim(int i) const {
    FASTKV_CHECK_LT(i, rank_);
    return dims_[i];
  }
  int64_t stride(int i) const {
    FASTKV_CHECK_LT(i, rank_);
    return strides_[i];
  }
  int64_t num_elements() const {
    int64_t count = 1;
    for (int i = 0; i < rank_; ++i) count *= dims_[i];
    return count;
  }
  bool packed() const {
    int64_t stride = 1;
    for (int i = rank_ - 1; i >= 0; --i) {
      if (dims_[i] != 1 && strides_[i] != stride) return false;
      stride *= dims_[i];
    }
    return true;
  }

  // The same view with another stride (in elements) for dimension i.
  BasicTensorView WithStride(int i, int64_t stride) const {
    FASTKV_CHECK_LT(i, rank_);
    BasicTensorView view = *this;
    view.strides_[i] = stride;
    return view;
  }

  // Entries [begin, end) of dimension i.
  BasicTensorView Slice(int i, int64_t begin, int64_t end) const {
    FASTKV_CHECK_LT(i, rank_);
    FASTKV_CHECK_LE(0, begin);
    FASTKV_CHECK_LE(begin, end);
    FASTKV_CHECK_LE(end, dims_[i]);
    BasicTensorView view = *this;
    using Byte = std::conditional_t<std::is_same_v<Pointer, void*>, char, const char>;
    view.data_ = static_cast<Byte*>(data_) + begin * strides_[i] * DTypeBytes(dtype_);
    view.dims_[i] = end - begin;
    return view;
  }
  BasicTensorView Rows(int64_t begin, int64_t end) const { return Slice(0, begin, end); }

  // The data as elements of T. REQUIRES: sizeof(T) matches the element type.
  template <typename T>
  auto As() const {
    FASTKV_CHECK_EQ(sizeof(T), DTypeBytes(dtype_));
    if constexpr (std::is_same_v<Pointer, void*>) {
      return static_cast<T*>(data_);
    } else {
      return static_cast<const T*>(data_);
    }
  }

 private:
  template <typename OtherPointer>
  friend class BasicTensorView;

  Pointer data_ = nullptr;
  DType dtype_ = DType::kF32;
  int rank_ = 0;
  std::array<int64_t, kMaxViewRank> dims_{};
  std::array<int64_t, kMaxViewRank> strides_{};
};

using TensorView = BasicTensorView<void*>;
using ConstTensorView = BasicTensorView<const void*>;

}  // namespace fastkv

#endif  // FASTKV_TENSOR_TENSOR_VIEW_H_
