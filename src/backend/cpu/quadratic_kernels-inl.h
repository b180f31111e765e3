// Quadratic forms of many vectors at once, written over the vocabulary `Simd` of the including
// translation unit. See kernels.h.
#ifndef FASTKV_BACKEND_CPU_QUADRATIC_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_QUADRATIC_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/gemm_kernels-inl.h"

namespace fastkv::cpu {
namespace {

void QuadraticForms(const QuadraticFormArgs& args) {
  const Simd::F quadratic_factor = Simd::Set(args.quadratic_factor);
  for (int64_t panel = 0; panel < args.num_panels; ++panel) {
    const float* x = args.x_panels + panel * args.depth * kPanelWidth;
    const float* mx = args.mx + panel * kPanelWidth;
    Simd::F sums[Simd::kPanelVectors];
    for (int v = 0; v < Simd::kPanelVectors; ++v) sums[v] = Simd::Zero();
    for (int64_t k = 0; k < args.depth; ++k) {
      const Simd::F linear = Simd::Set(args.linear_factor * args.linear[k]);
#pragma GCC unroll 4
      for (int v = 0; v < Simd::kPanelVectors; ++v) {
        const Simd::F gradient =
            Simd::Fma(quadratic_factor, Simd::Load(mx + k * args.mx_stride + v * kLanes), linear);
        sums[v] = Simd::Fma(Simd::Load(x + k * kPanelWidth + v * kLanes), gradient, sums[v]);
      }
    }
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      Simd::Store(args.out + panel * kPanelWidth + v * kLanes, sums[v]);
    }
  }
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_QUADRATIC_KERNELS_INL_H_
