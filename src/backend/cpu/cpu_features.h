// The instruction-set level that the hot kernels run at. One translation unit a level exists; the
// best one that the processor and the operating system support is chosen once, at run time.
#ifndef FASTKV_BACKEND_CPU_CPU_FEATURES_H_
#define FASTKV_BACKEND_CPU_CPU_FEATURES_H_

#include <string_view>

namespace fastkv {

// Ascending: each level includes the ones before it.
enum class CpuLevel {
  kGeneric,     // no assumption beyond the compiler's baseline
  kAvx2,        // AVX2, FMA, F16C
  kAvx512,      // AVX-512 F, BW, DQ, VL
  kAvx512Bf16,  // and AVX-512-BF16 and VNNI
  kAmx,         // and AMX-TILE, AMX-BF16, with the tile state granted by the kernel
};

// "generic", "avx2", "avx512", "avx512_bf16", "amx".
std::string_view CpuLevelName(CpuLevel level);
// For people: "AVX2", "AVX-512-BF16".
std::string_view CpuLevelTitle(CpuLevel level);

// What this processor can do. On the first call asks Linux for the AMX tile state where the
// processor has it. Thread-safe.
CpuLevel DetectCpuLevel();

// DetectCpuLevel(), or the lower level that FASTKV_CPU_LEVEL names; a name that is unknown or above
// what the processor has changes nothing.
CpuLevel SelectCpuLevel();

}  // namespace fastkv

#endif  // FASTKV_BACKEND_CPU_CPU_FEATURES_H_
