#include "backend/cpu/cpu_weight.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"
#include "tensor/block_formats.h"

namespace fastkv::cpu {

Result<std::unique_ptr<CpuWeight>> CpuWeight::Pack(const Context& context,
                                                   std::span<const WeightView> parts,
                                                   WeightType type, Allocator& allocator) {
  FASTKV_CHECK(!parts.empty());
  const int64_t in_features = parts[0].num_columns;
  int64_t out_features = 0;
  for (const WeightView& part : parts) {
    FASTKV_CHECK_EQ(part.num_columns, in_features);
    out_features += part.num_rows;
  }
  std::unique_ptr<CpuWeight> weight(new CpuWeight(out_features, in_features));
  int64_t begin = 0;
  for (const WeightView& part : parts) {
    if (part.num_rows == 0) continue;
    weight->sources_.push_back(part);
    weight->parts_.push_back({.rows = {.data = part.data,
                                       .format = FormatOf(part.type),
                                       .row_bytes = part.row_bytes,
                                       .num_rows = part.num_rows},
                              .begin = begin});
    begin += part.num_rows;
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
  FASTKV_ASSIGN_OR_RETURN(
      const Buffer decoded,
      Buffer::Allocate(allocator, context.num_threads() * in_features() * int64_t{sizeof(float)},
                       "a decoded row of weights"));
  const auto quantize = [&](int64_t i, int thread) {
    float* const values = static_cast<float*>(decoded.data()) + thread * in_features();
    const int64_t end = std::min(out_features(), (i + 1) * kTaskRows);
    for (int64_t row = i * kTaskRows; row < end; ++row) {
      DecodeSourceRow(row, values);
      context.kernels().quantize_row(values, DType::kF32, in_features(), rows + row * row_bytes,
                                     scales + row);
    }
  };
  ParallelFor(context.num_threads(), CeilDivide(out_features(), kTaskRows), quantize);
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

void CpuWeight::DecodeSourceRow(int64_t row, float* out) const {
  size_t i = 0;
  for (; row >= sources_[i].num_rows; ++i) row -= sources_[i].num_rows;
  DecodeRow(sources_[i].type, sources_[i].Row(row), in_features(), out);
}

}  // namespace fastkv::cpu
