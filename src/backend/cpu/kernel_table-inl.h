// The table of the including translation unit's kernels.
#ifndef FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_
#define FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_

#include "backend/cpu/block_kernels-inl.h"
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
                 // In the order of WeightFormat.
                 .weights = {StoredWeightKernels<float>(), StoredWeightKernels<BFloat16>(),
                             StoredWeightKernels<Float16>(), BlockWeightKernels<BlocksQ4_0>(),
                             BlockWeightKernels<BlocksQ4_1>(), BlockWeightKernels<BlocksQ5_0>(),
                             BlockWeightKernels<BlocksQ5_1>(), BlockWeightKernels<BlocksQ8_0>(),
                             BlockWeightKernels<BlocksQ2K>(), BlockWeightKernels<BlocksQ3K>(),
                             BlockWeightKernels<BlocksQ4K>(), BlockWeightKernels<BlocksQ5K>(),
                             BlockWeightKernels<BlocksQ6K>(), BlockWeightKernels<BlocksIQ4NL>(),
                             BlockWeightKernels<BlocksIQ4XS>(), Int8WeightKernels()},
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

template <typename... Layouts>
constexpr void SetPairsOfBlocks(Kernels& kernels) {
  ((kernels.weights[static_cast<int>(Layouts::kType)].pack_pairs = PackPairsOfBlocks<Layouts>),
   ...);
}

// The table of a level whose instructions multiply pairs of bf16: with `gemm_pairs` in products,
// through `Products` in attention.
template <typename Products>
constexpr Kernels MakePairKernels(CpuLevel level, void (*gemm_pairs)(const GemmPairsArgs&)) {
  Kernels kernels = MakeKernels<Products>(level);
  kernels.weights[static_cast<int>(WeightFormat::kBF16)].pack_pairs = PackPairs<BFloat16>;
  kernels.weights[static_cast<int>(WeightFormat::kInt8)].pack_pairs = PackPairs<int8_t>;
  SetPairsOfBlocks<BlocksQ4_0, BlocksQ4_1, BlocksQ5_0, BlocksQ5_1, BlocksQ8_0, BlocksQ2K, BlocksQ3K,
                   BlocksQ4K, BlocksQ5K, BlocksQ6K, BlocksIQ4NL, BlocksIQ4XS>(kernels);
  kernels.gemm_pairs = gemm_pairs;
  return kernels;
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_KERNEL_TABLE_INL_H_
