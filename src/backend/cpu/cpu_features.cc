#include "backend/cpu/cpu_features.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fastkv {
namespace {

constexpr std::array<CpuLevel, 5> kLevels = {CpuLevel::kGeneric, CpuLevel::kAvx2, CpuLevel::kAvx512,
                                             CpuLevel::kAvx512Bf16, CpuLevel::kAmx};

#if defined(__x86_64__)

struct CpuidWords {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidWords Cpuid(uint32_t leaf, uint32_t subleaf) {
  CpuidWords words;
  if (__get_cpuid_count(leaf, subleaf, &words.eax, &words.ebx, &words.ecx, &words.edx) == 0) {
    return {};
  }
  return words;
}

bool Bit(uint32_t word, int bit) { return ((word >> bit) & 1u) != 0; }

// The register states that the operating system saves. REQUIRES: OSXSAVE.
uint64_t ExtendedStateMask() {
  uint32_t low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

// Linux hands out the 8 KB of tile registers on request only, once a process.
bool RequestTileState() {
  constexpr int64_t kArchRequestPermission = 0x1023;
  constexpr int64_t kTileDataState = 18;
  return syscall(SYS_arch_prctl, kArchRequestPermission, kTileDataState) == 0;
}

CpuLevel Detect() {
  const CpuidWords leaf1 = Cpuid(1, 0);
  const CpuidWords leaf7 = Cpuid(7, 0);
  const CpuidWords leaf7_1 = Cpuid(7, 1);
  const bool os_saves = Bit(leaf1.ecx, 27);
  const uint64_t states = os_saves ? ExtendedStateMask() : 0;
  const auto saved = [&](uint64_t mask) { return (states & mask) == mask; };
  if (!saved(0x6) || !Bit(leaf1.ecx, 12) || !Bit(leaf1.ecx, 29) || !Bit(leaf7.ebx, 5)) {
    return CpuLevel::kGeneric;
  }
  const bool avx512 = saved(0xe6) && Bit(leaf7.ebx, 16) && Bit(leaf7.ebx, 17) &&
                      Bit(leaf7.ebx, 30) && Bit(leaf7.ebx, 31);
  if (!avx512) return CpuLevel::kAvx2;
  if (!Bit(leaf7_1.eax, 5) || !Bit(leaf7.ecx, 11)) return CpuLevel::kAvx512;
  const bool amx = saved(0x60000) && Bit(leaf7.edx, 22) && Bit(leaf7.edx, 24);
  if (!amx || !RequestTileState()) return CpuLevel::kAvx512Bf16;
  return CpuLevel::kAmx;
}

#else

CpuLevel Detect() { return CpuLevel::kGeneric; }

#endif

}  // namespace

std::string_view CpuLevelName(CpuLevel level) {
  switch (level) {
    case CpuLevel::kGeneric:
      return "generic";
    case CpuLevel::kAvx2:
      return "avx2";
    case CpuLevel::kAvx512:
      return "avx512";
    case CpuLevel::kAvx512Bf16:
      return "avx512_bf16";
    case CpuLevel::kAmx:
      return "amx";
  }
  return "?";
}

std::string_view CpuLevelTitle(CpuLevel level) {
  switch (level) {
    case CpuLevel::kGeneric:
      return "generic";
    case CpuLevel::kAvx2:
      return "AVX2";
    case CpuLevel::kAvx512:
      return "AVX-512";
    case CpuLevel::kAvx512Bf16:
      return "AVX-512-BF16";
    case CpuLevel::kAmx:
      return "AMX";
  }
  return "?";
}

CpuLevel DetectCpuLevel() {
  static const CpuLevel level = Detect();
  return level;
}

CpuLevel SelectCpuLevel() {
  const CpuLevel detected = DetectCpuLevel();
  const char* wanted = std::getenv("FASTKV_CPU_LEVEL");
  if (wanted == nullptr) return detected;
  for (CpuLevel level : kLevels) {
    if (CpuLevelName(level) == wanted) return std::min(level, detected);
  }
  return detected;
}

}  // namespace fastkv
