// A short name for data, to recognise it again: equal data gives equal fingerprints, and two
// different ones agree by chance once in 2^64. Nothing here withstands an attacker.
#ifndef FASTKV_BASE_FINGERPRINT_H_
#define FASTKV_BASE_FINGERPRINT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace fastkv {

// FNV-1a, 64 bits, over everything added so far. Numbers count as eight bytes, least significant
// first; texts as their length, then their bytes, so that what is added keeps its borders.
class Fingerprint {
 public:
  void Add(int64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      AddByte(static_cast<uint8_t>(static_cast<uint64_t>(number) >> shift));
    }
  }
  void Add(std::string_view text) {
    Add(static_cast<int64_t>(text.size()));
    for (const char c : text) AddByte(static_cast<uint8_t>(c));
  }

  uint64_t value() const { return value_; }

  // Sixteen hexadecimal digits.
  std::string Hex() const {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string hex;
    for (int shift = 60; shift >= 0; shift -= 4) hex += kDigits[(value_ >> shift) & 15];
    return hex;
  }

 private:
  void AddByte(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3ull; }

  uint64_t value_ = 0xcbf29ce484222325ull;
};

}  // namespace fastkv

#endif  // FASTKV_BASE_FINGERPRINT_H_
