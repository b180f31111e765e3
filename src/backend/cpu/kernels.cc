#include "backend/cpu/kernels.h"

#include "backend/cpu/kernel_tables.h"

namespace fastkv::cpu {

const Kernels& KernelsFor(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAmx) return kAmxKernels;
  if (level >= CpuLevel::kAvx512Bf16) return kAvx512Bf16Kernels;
  if (level >= CpuLevel::kAvx512) return kAvx512Kernels;
  if (level >= CpuLevel::kAvx2) return kAvx2Kernels;
#else
  static_cast<void>(level);
#endif
  return kGenericKernels;
}

}  // namespace fastkv::cpu
