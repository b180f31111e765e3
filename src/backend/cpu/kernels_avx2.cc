#include "backend/cpu/simd_avx2.h"
// The vocabulary comes first: the kernels are written over it.
#include "backend/cpu/kernel_table-inl.h"
#include "backend/cpu/kernel_tables.h"

namespace fastkv::cpu {

const Kernels kAvx2Kernels = MakeKernels(CpuLevel::kAvx2);

}  // namespace fastkv::cpu
