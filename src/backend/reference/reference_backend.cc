#include "backend/reference/reference_backend.h"

#include <cstring>
#include <vector>

#include "backend/reference/elements.h"
#include "backend/reference/int8_row.h"
#include "tensor/block_formats.h"

namespace fastkv {

std::unique_ptr<Backend> CreateReferenceBackend(ComputeTypes types, Allocator* allocator) {
  return std::make_unique<reference::ReferenceBackend>(
      types, allocator != nullptr ? *allocator : SystemAllocator());
}

namespace reference {
namespace {

bool IsComputeType(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16; }

}  // namespace

ReferenceBackend::ReferenceBackend(ComputeTypes types, Allocator& allocator)
    : types_(types), allocator_(allocator) {
  FASTKV_CHECK(IsComputeType(types.activation));
  FASTKV_CHECK(IsComputeType(types.kv));
  info_.name = "reference";
  info_.description = "plain loops in double precision, activations ";
  info_.description += DTypeName(types.activation);
  info_.description += ", keys and values ";
  info_.description += DTypeName(types.kv);
  if (types.weights == WeightType::kInt8) info_.description += ", int8 weights";
  if (types.has_int8_kv()) info_.description += ", int8 KV";
}

Status ReferenceBackend::CopyToDevice(void* device, const void* host, int64_t num_bytes) {
  Copy(device, host, num_bytes);
  return OkStatus();
}

Status ReferenceBackend::CopyToHost(void* host, const void* device, int64_t num_bytes) {
  Copy(host, device, num_bytes);
  return OkStatus();
}

void ReferenceBackend::Copy(void* to, const void* from, int64_t num_bytes) {
  if (num_bytes > 0) std::memcpy(to, from, static_cast<size_t>(num_bytes));
}

Result<std::unique_ptr<PackedWeight>> ReferenceBackend::PackWeight(
    std::span<const WeightView> parts) {
  FASTKV_CHECK(!parts.empty());
  const int64_t in_features = parts[0].num_columns;
  int64_t out_features = 0;
  for (const WeightView& part : parts) {
    FASTKV_CHECK_EQ(part.num_columns, in_features);
    out_features += part.num_rows;
  }
  FASTKV_ASSIGN_OR_RETURN(
      Buffer values,
      Allocate(out_features * in_features * int64_t{sizeof(double)}, "packed weight"));
  auto* to = static_cast<double*>(values.data());
  for (const WeightView& part : parts) {
    for (int64_t i = 0; i < part.num_rows; ++i, to += in_features) {
      DecodeRow(part.type, part.Row(i), in_features, to);
    }
  }
  Buffer factors;
  if (types_.weights == WeightType::kInt8) {
    FASTKV_ASSIGN_OR_RETURN(factors, Allocate(values.num_bytes(), "packed weight"));
    auto* factor = static_cast<double*>(factors.data());
    const auto* value = static_cast<const double*>(values.data());
    for (int64_t i = 0; i < out_features; ++i, value += in_features) {
      const Int8Row row = RoundToInt8({value, value + in_features});
      for (const int8_t integer : row.integers) *factor++ = double{row.scale} * integer;
    }
  }
  return std::unique_ptr<PackedWeight>(std::make_unique<ReferenceWeight>(
      out_features, in_features, std::move(values), std::move(factors)));
}

}  // namespace reference
}  // namespace fastkv
