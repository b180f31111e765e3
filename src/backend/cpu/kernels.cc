#include "backend/cpu/kernels.h"

#include "backend/cpu/kernel_tables.h"

namespace fastkv::cpu {

const Kernels& KernelsFor(CpuLevel level) {
#ifdef FASTKV_KERNELS_AMX
  if (level >= CpuLevel::kAmx) return kAmxKernels;
#endif
#ifdef FASTKV_KERNELS_AVX512_BF16
  if (level >= CpuLevel::kAvx512Bf16) return kAvx512Bf16Kernels;
#endif
#ifdef FASTKV_KERNELS_AVX512
  if (level >= CpuLevel::kAvx512) return kAvx512Kernels;
#endif
#ifdef FASTKV_KERNELS_AVX2
  if (level >= CpuLevel::kAvx2) return kAvx2Kernels;
#endif
  static_cast<void>(level);
  return kGenericKernels;
}

}  // namespace fastkv::cpu
