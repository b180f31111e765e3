// The table of the including translation unit's kernels.
#ifndef FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_
#define FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_

#include "backend/cpu/gemm_kernels-inl.h"
#include "backend/cpu/mat_vec_kernels-inl.h"
#include "backend/cpu/quadratic_kernels-inl.h"
#include "backend/cpu/softmax_kernels-inl.h"

namespace fastkv::cpu {
namespace {

constexpr Kernels MakeKernels(CpuLevel level) {
  return Kernels{.level = level,
                 .panel_width = kPanelWidth,
                 .gemm = Gemm,
                 .prepare_input = PrepareInput,
                 .mat_vec = MatVec,
                 .pack_transposed = PackTransposed,
                 .pack_panels = PackPanels,
                 .expand_rows = ExpandRows,
                 .softmax_step = SoftmaxStep,
                 .add_exponentials = AddExponentials,
                 .scale_row = ScaleRow,
                 .quadratic_forms = QuadraticForms};
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_
