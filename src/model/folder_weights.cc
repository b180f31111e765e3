#include "model/folder_weights.h"

#include <cstring>

namespace fastkv {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace

Result<ConstTensorView> FolderWeights::Tensor(const std::string& name,
                                              std::initializer_list<int64_t> shape) {
  FASTKV_ASSIGN_OR_RETURN(const HostTensor tensor, weights_.Tensor(name));
  const std::vector<int64_t> expected(shape);
  if (tensor.shape != expected) {
    return FormatError("tensor '" + name + "' has shape " + ShapeText(tensor.shape) +
                       "; config.json implies " + ShapeText(expected));
  }
  const void* data = tensor.data;
  if (!tensor.is_aligned()) {
    FASTKV_ASSIGN_OR_RETURN(
        Buffer copy, Buffer::Allocate(allocator_, tensor.num_bytes(), "an unaligned tensor"));
    std::memcpy(copy.data(), tensor.data, static_cast<size_t>(tensor.num_bytes()));
    data = copy.data();
    copies_.push_back(std::move(copy));
  }
  return ConstTensorView(data, tensor.dtype, shape);
}

}  // namespace fastkv
