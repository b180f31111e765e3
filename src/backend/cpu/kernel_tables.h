// The kernel tables. Which of them are compiled in, CMakeLists.txt says, and kernels.cc knows.
#ifndef FASTKV_BACKEND_CPU_KERNEL_TABLES_H_
#define FASTKV_BACKEND_CPU_KERNEL_TABLES_H_

#include "backend/cpu/kernels.h"

namespace fastkv::cpu {

extern const Kernels kGenericKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAmxKernels;

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_KERNEL_TABLES_H_
