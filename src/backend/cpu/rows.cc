// Operations on rows of activations, one by one.
#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"

namespace fastkv::cpu {

void RmsNorm(const Context& context, const RmsNormParams& params) {
  const int64_t hidden_size = params.x.dim(1);
  FASTKV_CHECK(params.x.dtype() == DType::kF32);
  FASTKV_CHECK(params.weight.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == context.types().activation);
  FASTKV_CHECK_EQ(params.weight.dim(0), hidden_size);
  FASTKV_CHECK_EQ(params.out.dim(0), params.x.dim(0));
  FASTKV_CHECK_EQ(params.out.dim(1), hidden_size);
  const auto* weight = params.weight.As<float>();
  context.ForRows(params.x.dim(0), hidden_size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float* x = params.x.As<float>() + i * params.x.stride(0);
      const int64_t out = i * params.out.stride(0);
      if (params.out.dtype() == DType::kF32) {
        RmsNormRow(x, weight, params.epsilon, hidden_size, params.out.As<float>() + out);
      } else {
        RmsNormRow(x, weight, params.epsilon, hidden_size, params.out.As<BFloat16>() + out);
      }
    }
  });
}

void SiluMultiply(const Context& context, const SiluMultiplyParams& params) {
  const int64_t intermediate_size = params.out.dim(1);
  FASTKV_CHECK(params.gate_up.dtype() == context.types().activation);
  FASTKV_CHECK(params.out.dtype() == context.types().activation);
  FASTKV_CHECK_EQ(params.out.dim(0), params.gate_up.dim(0));
  FASTKV_CHECK_EQ(params.gate_up.dim(1), 2 * intermediate_size);
  // An exponential and a division weigh about eight plain elements.
  context.ForRows(params.out.dim(0), 8 * intermediate_size, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t in = i * params.gate_up.stride(0);
      const int64_t out = i * params.out.stride(0);
      if (params.out.dtype() == DType::kF32) {
        const float* gate = params.gate_up.As<float>() + in;
        SiluMultiplyRow(gate, gate + intermediate_size, intermediate_size,
                        params.out.As<float>() + out);
      } else {
        const BFloat16* gate = params.gate_up.As<BFloat16>() + in;
        SiluMultiplyRow(gate, gate + intermediate_size, intermediate_size,
                        params.out.As<BFloat16>() + out);
      }
    }
  });
}

}  // namespace fastkv::cpu
