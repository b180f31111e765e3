// Integer arithmetic that reports overflow instead of wrapping; for sizes that come from files.
#ifndef FASTKV_BASE_CHECKED_MATH_H_
#define FASTKV_BASE_CHECKED_MATH_H_

#include <cstdint>
#include <optional>

namespace fastkv {

inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<uint64_t> CheckedMultiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

constexpr int64_t CeilDivide(int64_t numerator, int64_t denominator) {
  return (numerator + denominator - 1) / denominator;
}

constexpr int64_t RoundUp(int64_t value, int64_t multiple) {
  return CeilDivide(value, multiple) * multiple;
}

}  // namespace fastkv

#endif  // FASTKV_BASE_CHECKED_MATH_H_
