// What is read off the logits.
#include <cmath>
#include <limits>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"

namespace fastkv::cpu {
namespace {

int32_t ArgMaxOfRow(const float* logits, int64_t count) {
  const float max = MaxOrNan(logits, count);
  if (std::isnan(max) || max == std::numeric_limits<float>::infinity()) return -1;
  int64_t j = 0;
  while (logits[j] != max) ++j;
  return static_cast<int32_t>(j);
}

}  // namespace

void ArgMax(const Context& context, const ArgMaxParams& params) {
  const int64_t vocab_size = params.logits.dim(1);
  FASTKV_CHECK(params.logits.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kI32);
  FASTKV_CHECK_LT(0, vocab_size);
  context.ForRows(params.logits.dim(0), vocab_size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      params.out.As<int32_t>()[i] =
          ArgMaxOfRow(params.logits.As<float>() + i * params.logits.stride(0), vocab_size);
    }
  });
}

void TargetLogProbs(const Context& context, const TargetLogProbsParams& params) {
  const int64_t vocab_size = params.logits.dim(1);
  FASTKV_CHECK(params.logits.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  context.ForRows(params.logits.dim(0), 8 * vocab_size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float* logits = params.logits.As<float>() + i * params.logits.stride(0);
      const int64_t target = params.targets[i];
      FASTKV_CHECK_LE(0, target);
      FASTKV_CHECK_LT(target, vocab_size);
      const float max = MaxOrNan(logits, vocab_size);
      const float log_sum = std::log(SumOfExponentials(logits, max, vocab_size));
      params.out.As<float>()[i] = (logits[target] - max) - log_sum;
    }
  });
}

}  // namespace fastkv::cpu
