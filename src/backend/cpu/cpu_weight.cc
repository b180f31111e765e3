#include "backend/cpu/cpu_weight.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {

Result<std::unique_ptr<CpuWeight>> CpuWeight::Pack(const Context& context,
                                                   std::span<const ConstTensorView> parts,
                                                   WeightType type, Allocator& allocator) {
  FASTKV_CHECK(!parts.empty());
  const int64_t in_features = parts[0].dim(1);
  int64_t out_features = 0;
  for (const ConstTensorView& part : parts) {
    FASTKV_CHECK_EQ(part.dim(1), in_features);
    if (part.dtype() != DType::kF32 && part.dtype() != DType::kBF16 &&
        part.dtype() != DType::kF16) {
      return UnsupportedError("expected weights in f32, bf16 or f16, but got " +
                              std::string(DTypeName(part.dtype())));
    }
    out_features += part.dim(0);
  }
  std::unique_ptr<CpuWeight> weight(new CpuWeight(out_features, in_features));
  int64_t begin = 0;
  for (const ConstTensorView& part : parts) {
    if (part.dim(0) == 0) continue;
    weight->sources_.push_back(part);
    weight->parts_.push_back({.rows = {.data = part.data(),
                                       .format = FormatOf(part.dtype()),
                                       .row_bytes = part.stride(0) * DTypeBytes(part.dtype()),
                                       .num_rows = part.dim(0)},
                              .begin = begin});
    begin += part.dim(0);
  }
  if (type == WeightType::kInt8) {
    FASTKV_RETURN_IF_ERROR(weight->PackInt8(context, allocator));
  }
  return weight;
}

Status CpuWeight::PackInt8(const Context& context, Allocator& allocator) {
  constexpr int64_t kTaskRows = 64;
  const int64_t row_bytes = RoundUp(in_features(), kInt8RowBytes);
  const int64_t rows_bytes = out_features() * row_bytes;
  FASTKV_ASSIGN_OR_RETURN(
      packed_, Buffer::Allocate(allocator, rows_bytes + out_features() * int64_t{sizeof(float)},
                                "weights of 8 bits"));
  auto* const rows = static_cast<int8_t*>(packed_.data());
  auto* const scales = reinterpret_cast<float*>(rows + rows_bytes);
  ParallelFor(context.num_threads(), CeilDivide(out_features(), kTaskRows), [&](int64_t i, int) {
    const int64_t end = std::min(out_features(), (i + 1) * kTaskRows);
    for (int64_t row = i * kTaskRows; row < end; ++row) {
      const ConstTensorView source = SourceRow(row);
      context.kernels().quantize_row(source.data(), source.dtype(), in_features(),
                                     rows + row * row_bytes, scales + row);
    }
  });
  parts_ = {{.rows = {.data = rows,
                      .format = WeightFormat::kInt8,
                      .row_bytes = row_bytes,
                      .num_rows = out_features(),
                      .scales = scales},
             .begin = 0}};
  return OkStatus();
}

int64_t CpuWeight::num_bytes() const {
  int64_t sum = 0;
  for (const Part& part : parts_) {
    const int64_t scale_bytes = part.rows.scales == nullptr ? 0 : int64_t{sizeof(float)};
    sum += part.rows.num_rows * (part.rows.row_bytes + scale_bytes);
  }
  return sum;
}

ConstTensorView CpuWeight::SourceRow(int64_t row) const {
  size_t i = 0;
  for (; row >= sources_[i].dim(0); ++i) row -= sources_[i].dim(0);
  return sources_[i].Rows(row, row + 1);
}

}  // namespace fastkv::cpu
