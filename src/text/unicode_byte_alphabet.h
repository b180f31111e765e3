// GPT-2's alphabet of bytes: every byte is written as one printable character, so that any bytes
// make valid text without white space. Printable Latin-1 stands for itself; the others follow from
// U+0100.
#ifndef FASTKV_TEXT_UNICODE_BYTE_ALPHABET_H_
#define FASTKV_TEXT_UNICODE_BYTE_ALPHABET_H_

#include <array>
#include <cstdint>
#include <optional>

namespace fastkv {

inline constexpr int kByteAlphabetEnd = 0x144;  // one more than the last character in use

constexpr std::array<char32_t, 256> MakeByteAlphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    alphabet[static_cast<size_t>(byte)] = printable ? static_cast<char32_t>(byte) : next++;
  }
  return alphabet;
}

// The character for each byte.
inline constexpr std::array<char32_t, 256> kByteAlphabet = MakeByteAlphabet();

constexpr std::array<int16_t, kByteAlphabetEnd> MakeByteOfCharacter() {
  std::array<int16_t, kByteAlphabetEnd> bytes{};
  for (auto& byte : bytes) byte = -1;
  for (int byte = 0; byte < 256; ++byte) {
    bytes[kByteAlphabet[static_cast<size_t>(byte)]] = static_cast<int16_t>(byte);
  }
  return bytes;
}

// The byte that a character stands for, or -1.
constexpr int ByteOfCharacter(char32_t character) {
  constexpr std::array<int16_t, kByteAlphabetEnd> kBytes = MakeByteOfCharacter();
  return character < kByteAlphabetEnd ? kBytes[character] : -1;
}

}  // namespace fastkv

#endif  // FASTKV_TEXT_UNICODE_BYTE_ALPHABET_H_
