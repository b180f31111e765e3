#include "io/host_tensor.h"

#include <cstring>
#include <string>

namespace fastkv {
namespace {

// Whether all exponent bits are set, which marks NaN and infinity in every IEEE format.
template <typename Bits>
Status CheckExponents(const HostTensor& tensor, Bits exponent_mask) {
  const int64_t count = tensor.num_elements();
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, tensor.data + static_cast<size_t>(i) * sizeof(Bits), sizeof(Bits));
    if ((bits & exponent_mask) == exponent_mask) {
      return NumericError("element " + std::to_string(i) + " is NaN or infinite");
    }
  }
  return OkStatus();
}

}  // namespace

Status CheckFinite(const HostTensor& tensor) {
  switch (tensor.dtype) {
    case DType::kF32:
      return CheckExponents<uint32_t>(tensor, 0x7f800000u);
    case DType::kBF16:
      return CheckExponents<uint16_t>(tensor, 0x7f80u);
    case DType::kF16:
      return CheckExponents<uint16_t>(tensor, 0x7c00u);
    case DType::kI32:
    case DType::kI8:
      break;
  }
  return OkStatus();
}

}  // namespace fastkv
