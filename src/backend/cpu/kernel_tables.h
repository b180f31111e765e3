// The kernel tables that were compiled in; x86-64 has all, other processors the generic one.
#ifndef FASTKV_BACKEND_CPU_KERNEL_TABLES_H_
#define FASTKV_BACKEND_CPU_KERNEL_TABLES_H_

#include "backend/cpu/kernels.h"

namespace fastkv::cpu {

extern const Kernels kGenericKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAmxKernels;
#endif

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_KERNEL_TABLES_H_
