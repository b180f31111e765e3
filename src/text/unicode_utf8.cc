#include "text/unicode_utf8.h"

#include <simdjson.h>

#include <algorithm>

#include "base/check.h"

namespace fastkv {

void AppendUtf8(char32_t code_point, std::string& text) {
  const auto push = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    push(code_point);
  } else if (code_point < 0x800) {
    push(0xC0 | code_point >> 6);
    push(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    push(0xE0 | code_point >> 12);
    push(0x80 | (code_point >> 6 & 0x3F));
    push(0x80 | (code_point & 0x3F));
  } else {
    push(0xF0 | code_point >> 18);
    push(0x80 | (code_point >> 12 & 0x3F));
    push(0x80 | (code_point >> 6 & 0x3F));
    push(0x80 | (code_point & 0x3F));
  }
}

Utf8Prefix ReadUtf8Prefix(std::string_view bytes) {
  FASTKV_CHECK(!bytes.empty());
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, true, false};
  // Unicode, table 3-7: the second byte's range depends on the first; all others are 80 to BF.
  size_t length = 0;
  unsigned second_min = 0x80;
  unsigned second_max = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) second_min = 0xA0;
    if (lead == 0xED) second_max = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) second_min = 0x90;
    if (lead == 0xF4) second_max = 0x8F;
  } else {
    return {1, false, false};
  }
  const size_t available = std::min(length, bytes.size());
  for (size_t i = 1; i < available; ++i) {
    const unsigned low = i == 1 ? second_min : 0x80;
    const unsigned high = i == 1 ? second_max : 0xBF;
    if (byte(i) < low || byte(i) > high) return {i, false, false};
  }
  if (available < length) return {available, false, true};
  return {length, true, false};
}

std::optional<size_t> FindInvalidUtf8(std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) return std::nullopt;
  size_t position = 0;
  while (position < text.size()) {
    const Utf8Prefix prefix = ReadUtf8Prefix(text.substr(position));
    if (!prefix.valid) return position;
    position += prefix.length_bytes;
  }
  return std::nullopt;
}

}  // namespace fastkv
