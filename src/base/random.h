// The randomness seam: a small counter-based generator. The same seed gives the same numbers on
// every machine; no run draws from anything else.
#ifndef FASTKV_BASE_RANDOM_H_
#define FASTKV_BASE_RANDOM_H_

#include <cmath>
#include <cstdint>

#include "base/check.h"

namespace fastkv {

// SplitMix64 over a counter: value i depends on (seed, i) alone. Not for cryptography.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t NextUint64() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound). REQUIRES: bound > 0.
  int64_t NextInt(int64_t bound) {
    FASTKV_CHECK_GT(bound, 0);
    __extension__ typedef unsigned __int128 Uint128;  // ISO C++ has no such type
    const auto wide = static_cast<Uint128>(NextUint64()) * static_cast<uint64_t>(bound);
    return static_cast<int64_t>(wide >> 64);
  }

  // Uniform in [0, 1) with 53 random bits.
  double NextDouble() { return static_cast<double>(NextUint64() >> 11) * 0x1.0p-53; }

  // Standard normal, by Box and Muller's transform.
  float NextGaussian() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - NextDouble()));
    return static_cast<float>(radius * std::cos(6.283185307179586 * NextDouble()));
  }

 private:
  uint64_t state_;
};

}  // namespace fastkv

#endif  // FASTKV_BASE_RANDOM_H_
