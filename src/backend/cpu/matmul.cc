// MatMul and EmbedTokens. Which products are long and which are short is fixed, and so is the order
// in which each kind adds (kernels.h): a result depends on the number of rows in no other way.
#include <algorithm>
#include <cstdint>

#include "backend/cpu/cpu_weight.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/products.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"

namespace fastkv::cpu {

void StoreSums(const MatMulParams& params, const CpuWeight::Part& part, int64_t row, int64_t first,
               int64_t count, float* sums) {
  const int64_t column = part.begin + first;
  if (part.rows.scales != nullptr) {
    const float* scales = part.rows.scales + first;
    for (int64_t i = 0; i < count; ++i) sums[i] *= scales[i];
  }
  if (!params.bias.empty()) AddTo(sums, params.bias.As<float>() + column, count);
  const int64_t offset = row * params.out.stride(0) + column;
  if (params.out.dtype() == DType::kBF16) {
    FloatsToBFloat16(sums, params.out.As<BFloat16>() + offset, count);
    return;
  }
  float* out = params.out.As<float>() + offset;
  if (params.accumulate) {
    AddTo(out, sums, count);
  } else {
    std::copy_n(sums, count, out);
  }
}

void EmbedTokens(const Context& context, const EmbedTokensParams& params) {
  const auto& table = static_cast<const CpuWeight&>(*params.table);
  const int64_t hidden_size = table.in_features();
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.out.dim(1), hidden_size);
  context.ForRows(params.out.dim(0), hidden_size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t id = params.ids[i];
      FASTKV_CHECK_LE(0, id);
      FASTKV_CHECK_LT(id, table.out_features());
      table.DecodeSourceRow(id, params.out.As<float>() + i * params.out.stride(0));
    }
  });
}

void MatMul(const Context& context, const MatMulParams& params) {
  const auto& weight = static_cast<const CpuWeight&>(*params.weight);
  FASTKV_CHECK(params.x.dtype() == context.types().activation);
  FASTKV_CHECK(params.out.dtype() == DType::kF32 ||
               params.out.dtype() == context.types().activation);
  FASTKV_CHECK(!params.accumulate || params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.x.dim(1), weight.in_features());
  FASTKV_CHECK_EQ(params.out.dim(0), params.x.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), weight.out_features());
  if (params.x.dim(0) <= kMatVecRows) {
    MultiplyShort(context, params, weight);
  } else {
    MultiplyLong(context, params, weight);
  }
}

}  // namespace fastkv::cpu
