// UTF-8 one code point at a time.
#ifndef FASTKV_TEXT_UNICODE_UTF8_H_
#define FASTKV_TEXT_UNICODE_UTF8_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace fastkv {

struct CodePoint {
  char32_t value;
  size_t length_bytes;
};

// The code point that begins at `position`.
// REQUIRES: `text` is valid UTF-8 and `position` is the first byte of a character in it.
inline CodePoint DecodeUtf8(std::string_view text, size_t position) {
  const auto byte = [&](size_t offset) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[position + offset]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

// The first byte of the character that ends just before `position`.
// REQUIRES: `text` is valid UTF-8, 0 < position <= text.size(), and a character ends there.
inline size_t PreviousUtf8(std::string_view text, size_t position) {
  do {
    --position;
  } while ((static_cast<unsigned char>(text[position]) & 0xC0) == 0x80);
  return position;
}

// REQUIRES: `code_point` is a Unicode scalar value.
void AppendUtf8(char32_t code_point, std::string& text);

// The offset of the first byte that cannot be part of UTF-8 text, if there is one.
std::optional<size_t> FindInvalidUtf8(std::string_view text);

// What stands at the start of bytes that may be broken UTF-8.
struct Utf8Prefix {
  size_t
      length_bytes;  // of the character, or of the longest part that could begin one (at least 1)
  bool valid;        // a whole character
  bool cut;          // the bytes end before the character does
};

// Follows Unicode's "maximal subpart" rule, so that replacing every invalid part by one U+FFFD
// gives what other decoders give. REQUIRES: !bytes.empty().
Utf8Prefix ReadUtf8Prefix(std::string_view bytes);

}  // namespace fastkv

#endif  // FASTKV_TEXT_UNICODE_UTF8_H_
