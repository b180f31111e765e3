#include "backend/cpu/simd_avx2.h"
// The vocabulary comes first: the kernels are written over it.
#include "backend/cpu/block_kernels_avx2-inl.h"
#include "backend/cpu/kernel_table-inl.h"
#include "backend/cpu/kernel_tables.h"

namespace fastkv::cpu {
namespace {

constexpr Kernels MakeAvx2Kernels() {
  Kernels kernels = MakeKernels(CpuLevel::kAvx2);
  SetSplitKernels<BlocksQ4_0, SplitNibbles<BlocksQ4_0>>(kernels);
  SetSplitKernels<BlocksQ4_1, SplitNibbles<BlocksQ4_1>>(kernels);
  SetSplitKernels<BlocksQ4K, SplitQ4K>(kernels);
  SetSplitKernels<BlocksQ6K, SplitQ6K>(kernels);
  return kernels;
}

}  // namespace

const Kernels kAvx2Kernels = MakeAvx2Kernels();

}  // namespace fastkv::cpu
