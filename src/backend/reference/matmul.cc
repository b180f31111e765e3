// The operations on packed weights.
#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fastkv::reference {

void ReferenceBackend::EmbedTokens(const EmbedTokensParams& params) {
  const auto& table = static_cast<const ReferenceWeight&>(*params.table);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.out.dim(1), table.in_features());
  for (int64_t i = 0; i < params.out.dim(0); ++i) {
    const int32_t id = params.ids[i];
    FASTKV_CHECK_LE(0, id);
    FASTKV_CHECK_LT(id, table.out_features());
    const double* row = table.Row(id);
    StoreRow(params.out, std::vector<double>(row, row + table.in_features()), i);
  }
}

void ReferenceBackend::MatMul(const MatMulParams& params) {
  const auto& weight = static_cast<const ReferenceWeight&>(*params.weight);
  const DType out_type = params.out.dtype();
  FASTKV_CHECK(params.x.dtype() == types_.activation);
  FASTKV_CHECK(out_type == types_.activation || out_type == DType::kF32);
  FASTKV_CHECK(!params.accumulate || out_type == DType::kF32);
  FASTKV_CHECK_EQ(params.x.dim(1), weight.in_features());
  FASTKV_CHECK_EQ(params.out.dim(0), params.x.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), weight.out_features());

  std::vector<double> bias(weight.out_features(), 0.0);
  if (!params.bias.empty()) {
    FASTKV_CHECK(params.bias.dtype() == DType::kF32);
    FASTKV_CHECK_EQ(params.bias.dim(0), weight.out_features());
    bias = LoadRow(params.bias);
  }
  for (int64_t i = 0; i < params.out.dim(0); ++i) {
    const std::vector<double> x = LoadRow(params.x, i);
    std::vector<double> out(weight.out_features(), 0.0);
    if (params.accumulate) out = LoadRow(params.out, i);
    for (int64_t j = 0; j < weight.out_features(); ++j) {
      const double* row = weight.FactorRow(j);
      double sum = 0;
      for (size_t c = 0; c < x.size(); ++c) sum += x[c] * row[c];
      out[j] += sum + bias[j];
    }
    StoreRow(params.out, out, i);
  }
}

}  // namespace fastkv::reference
