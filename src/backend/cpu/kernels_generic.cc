#include "backend/cpu/simd_generic.h"
// The vocabulary comes first: the kernels are written over it.
#include "backend/cpu/kernel_table-inl.h"
#include "backend/cpu/kernel_tables.h"

namespace fastkv::cpu {

const Kernels kGenericKernels = MakeKernels(CpuLevel::kGeneric);

}  // namespace fastkv::cpu
