// Row-wise operations on activations: RMS norm and the gated activation.
#include "backend/reference/norm.h"

#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fastkv::reference {

void NormalizeRow(const std::vector<double>& weight, double epsilon, std::vector<double>& row) {
  FASTKV_CHECK_EQ(weight.size(), row.size());
  double sum_of_squares = 0;
  for (double value : row) sum_of_squares += value * value;
  const double mean = sum_of_squares / static_cast<double>(row.size());
  const double inverse_norm = 1 / std::sqrt(mean + epsilon);
  for (size_t c = 0; c < row.size(); ++c) row[c] *= inverse_norm * weight[c];
}

void ReferenceBackend::RmsNorm(const RmsNormParams& params) {
  FASTKV_CHECK(params.x.dtype() == DType::kF32);
  FASTKV_CHECK(params.weight.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == types_.activation);
  FASTKV_CHECK_EQ(params.out.dim(0), params.x.dim(0));
  const std::vector<double> weight = LoadRow(params.weight);
  for (int64_t i = 0; i < params.x.dim(0); ++i) {
    std::vector<double> row = LoadRow(params.x, i);
    NormalizeRow(weight, params.epsilon, row);
    StoreRow(params.out, row, i);
  }
}

void ReferenceBackend::SiluMultiply(const SiluMultiplyParams& params) {
  FASTKV_CHECK(params.gate_up.dtype() == types_.activation);
  FASTKV_CHECK(params.out.dtype() == types_.activation);
  FASTKV_CHECK_EQ(params.out.dim(0), params.gate_up.dim(0));
  FASTKV_CHECK_EQ(2 * params.out.dim(1), params.gate_up.dim(1));
  const int64_t intermediate_size = params.out.dim(1);
  for (int64_t i = 0; i < params.out.dim(0); ++i) {
    const std::vector<double> gate_up = LoadRow(params.gate_up, i);
    std::vector<double> out(intermediate_size);
    for (int64_t c = 0; c < intermediate_size; ++c) {
      const double gate = gate_up[c];
      out[c] = gate / (1 + std::exp(-gate)) * gate_up[intermediate_size + c];
    }
    StoreRow(params.out, out, i);
  }
}

}  // namespace fastkv::reference
