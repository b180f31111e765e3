// The table of the including translation unit's kernels.
#ifndef FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_
#define FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_

#include "backend/cpu/cached_attention_kernels-inl.h"
#include "backend/cpu/gemm_kernels-inl.h"
#include "backend/cpu/int8_kernels-inl.h"
#include "backend/cpu/mat_vec_kernels-inl.h"
#include "backend/cpu/pair_attention_kernels-inl.h"
#include "backend/cpu/quadratic_kernels-inl.h"
#include "backend/cpu/softmax_kernels-inl.h"

namespace fastkv::cpu {
namespace {

// `Products`: what multiplies pairs of bf16.
template <typename Products = VectorProducts<FloatPairs>>
constexpr Kernels MakeKernels(CpuLevel level) {
  return Kernels{.level = level,
                 .panel_width = kPanelWidth,
                 .gemm = Gemm,
                 .pack_transposed = PackTransposed,
                 .pack_panels = PackPanels,
                 .expand_rows = ExpandRows,
                 .pack_pairs = PackPairs<BFloat16>,
                 .weights = {StoredWeightKernels<float>(), StoredWeightKernels<BFloat16>(),
                             StoredWeightKernels<Float16>(), Int8WeightKernels()},
                 .quantize_row = QuantizeRow,
                 .softmax_step = SoftmaxStep,
                 .add_exponentials = AddExponentials,
                 .scale_row = ScaleRow,
                 .add_scaled_row = AddScaledRow,
                 .attend_entries = AttendEntries,
                 .pack_value_pairs = PackValuePairs,
                 .attend_pairs = AttendPairs<Products>,
                 .quadratic_forms = QuadraticForms};
}

// The table of a level whose instructions multiply pairs of bf16: with `gemm_pairs` in products,
// through `Products` in attention.
template <typename Products>
constexpr Kernels MakePairKernels(CpuLevel level, void (*gemm_pairs)(const GemmPairsArgs&)) {
  Kernels kernels = MakeKernels<Products>(level);
  kernels.weights[static_cast<int>(WeightFormat::kBF16)].pack_pairs = PackPairs<BFloat16>;
  kernels.weights[static_cast<int>(WeightFormat::kInt8)].pack_pairs = PackPairs<int8_t>;
  kernels.gemm_pairs = gemm_pairs;
  return kernels;
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_
