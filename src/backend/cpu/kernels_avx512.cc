#include "backend/cpu/simd_avx512.h"
// The vocabulary comes first: the kernels are written over it.
#include "backend/cpu/kernel_table-inl.h"
#include "backend/cpu/kernel_tables.h"

namespace fastkv::cpu {

const Kernels kAvx512Kernels = MakeKernels(CpuLevel::kAvx512);

}  // namespace fastkv::cpu
