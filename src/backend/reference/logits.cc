// What is read off the logits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fastkv::reference {
namespace {

int32_t ArgMaxOfRow(const std::vector<double>& row) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const bool broken = std::any_of(
      row.begin(), row.end(), [](double logit) { return std::isnan(logit) || logit == kInfinity; });
  if (broken) return -1;
  return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

double LogSumExp(const std::vector<double>& row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double value : row) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

}  // namespace

void ReferenceBackend::ArgMax(const ArgMaxParams& params) {
  FASTKV_CHECK(params.logits.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kI32);
  for (int64_t i = 0; i < params.logits.dim(0); ++i) {
    params.out.As<int32_t>()[i] = ArgMaxOfRow(LoadRow(params.logits, i));
  }
}

void ReferenceBackend::TargetLogProbs(const TargetLogProbsParams& params) {
  FASTKV_CHECK(params.logits.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  for (int64_t i = 0; i < params.logits.dim(0); ++i) {
    const std::vector<double> row = LoadRow(params.logits, i);
    const int64_t target = params.targets[i];
    FASTKV_CHECK_LE(0, target);
    FASTKV_CHECK_LT(target, row.size());
    StoreElement(params.out.data(), DType::kF32, i, row[target] - LogSumExp(row));
  }
}

}  // namespace fastkv::reference
