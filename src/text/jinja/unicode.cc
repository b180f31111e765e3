#include "text/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "text/jinja/unicode_tables.h"

namespace fastkv::jinja {
namespace {

template <size_t kCount>
bool InRanges(const CodePointRange (&ranges)[kCount], char32_t code_point) {
  const CodePointRange* range = std::upper_bound(
      std::begin(ranges), std::end(ranges), code_point,
      [](char32_t value, const CodePointRange& candidate) { return value < candidate.first; });
  return range != std::begin(ranges) && code_point <= std::prev(range)->last;
}

utf8proc_category_t Category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

const SpecialCase* FindSpecialCase(char32_t code_point) {
  const SpecialCase* found = std::lower_bound(
      std::begin(kSpecialCases), std::end(kSpecialCases), code_point,
      [](const SpecialCase& candidate, char32_t value) { return candidate.code_point < value; });
  if (found == std::end(kSpecialCases) || found->code_point != code_point) return nullptr;
  return found;
}

void AppendUtf8(char32_t code_point, std::string* out) {
  char bytes[4];
  out->append(bytes, EncodeUtf8(code_point, bytes));
}

void AppendAll(const char32_t (&code_points)[3], std::string* out) {
  for (const char32_t code_point : code_points) {
    if (code_point != 0) AppendUtf8(code_point, out);
  }
}

}  // namespace

DecodedPoint DecodeUtf8(std::string_view text, size_t offset) {
  const auto byte = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[offset + i]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {((lead & 0x1F) << 6) | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {((lead & 0x0F) << 12) | ((byte(1) & 0x3F) << 6) | (byte(2) & 0x3F), 3};
  return {
      ((lead & 0x07) << 18) | ((byte(1) & 0x3F) << 12) | ((byte(2) & 0x3F) << 6) | (byte(3) & 0x3F),
      4};
}

DecodedPoint DecodeUtf8Before(std::string_view text, size_t end) {
  size_t start = end - 1;
  while ((static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
  return DecodeUtf8(text, start);
}

size_t EncodeUtf8(char32_t code_point, char* bytes) {
  return static_cast<size_t>(utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point),
                                                  reinterpret_cast<utf8proc_uint8_t*>(bytes)));
}

bool IsValidUtf8(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    if (static_cast<unsigned char>(text[offset]) < 0x80) {
      ++offset;
      continue;
    }
    utf8proc_int32_t code_point = 0;
    const utf8proc_ssize_t size = utf8proc_iterate(
        reinterpret_cast<const utf8proc_uint8_t*>(text.data() + offset),
        static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - offset, 4)), &code_point);
    if (size <= 0) return false;
    offset += static_cast<size_t>(size);
  }
  return true;
}

size_t CountCodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  }));
}

size_t OffsetOfCodePoint(std::string_view text, size_t index) {
  size_t offset = 0;
  while (offset < text.size() && index > 0) {
    offset += DecodeUtf8(text, offset).size;
    --index;
  }
  return offset;
}

bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool IsLineBreak(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool IsPrintable(char32_t code_point) {
  switch (Category(code_point)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return code_point == ' ';
    default:
      return true;
  }
}

bool IsWordCharacter(char32_t code_point) {
  const utf8proc_category_t category = Category(code_point);
  return code_point == '_' || IsAlpha(code_point) || category == UTF8PROC_CATEGORY_ND ||
         category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

bool IsAlpha(char32_t code_point) {
  const utf8proc_category_t category = Category(code_point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsDecimalDigit(char32_t code_point) { return Category(code_point) == UTF8PROC_CATEGORY_ND; }

bool IsDigit(char32_t code_point) {
  return IsDecimalDigit(code_point) || InRanges(kOtherDigits, code_point);
}

bool IsLower(char32_t code_point) {
  return Category(code_point) == UTF8PROC_CATEGORY_LL || InRanges(kOtherLowercase, code_point);
}

bool IsUpper(char32_t code_point) {
  return Category(code_point) == UTF8PROC_CATEGORY_LU || InRanges(kOtherUppercase, code_point);
}

bool IsTitle(char32_t code_point) { return Category(code_point) == UTF8PROC_CATEGORY_LT; }

bool IsCased(char32_t code_point) {
  return IsLower(code_point) || IsUpper(code_point) || IsTitle(code_point);
}

bool HasOneCase(std::string_view text, bool lower) {
  bool any = false;
  for (size_t offset = 0; offset < text.size();) {
    const DecodedPoint point = DecodeUtf8(text, offset);
    const bool right = lower ? IsLower(point.value) : IsUpper(point.value);
    if (!right && IsCased(point.value)) return false;
    any = any || right;
    offset += point.size;
  }
  return any;
}

bool IsIdentifier(std::string_view name) {
  if (name.empty()) return false;
  for (size_t offset = 0; offset < name.size();) {
    const DecodedPoint point = DecodeUtf8(name, offset);
    const utf8proc_category_t category = Category(point.value);
    const bool starts =
        point.value == '_' || IsAlpha(point.value) || category == UTF8PROC_CATEGORY_NL;
    const bool continues = starts || category == UTF8PROC_CATEGORY_ND ||
                           category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                           category == UTF8PROC_CATEGORY_PC;
    if (!(offset == 0 ? starts : continues)) return false;
    offset += point.size;
  }
  return true;
}

void AppendUpper(char32_t code_point, std::string* out) {
  if (const SpecialCase* special = FindSpecialCase(code_point)) {
    AppendAll(special->upper, out);
  } else {
    AppendUtf8(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code_point))),
               out);
  }
}

void AppendLower(char32_t code_point, std::string* out) {
  if (code_point == 0x130) {  // the one code point whose lower case has two
    out->append("i\u0307");
  } else {
    AppendUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))),
               out);
  }
}

void AppendTitle(char32_t code_point, std::string* out) {
  if (const SpecialCase* special = FindSpecialCase(code_point)) {
    AppendAll(special->title, out);
  } else {
    AppendUtf8(static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(code_point))),
               out);
  }
}

void AppendFolded(char32_t code_point, std::string* out) {
  utf8proc_int32_t folded[8];
  int boundary = UTF8PROC_BOUNDCLASS_START;
  const utf8proc_ssize_t count = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(code_point), folded,
      static_cast<utf8proc_ssize_t>(std::size(folded)), UTF8PROC_CASEFOLD, &boundary);
  for (utf8proc_ssize_t i = 0; i < count; ++i) AppendUtf8(static_cast<char32_t>(folded[i]), out);
}

char32_t LowerSigma(std::string_view text, size_t offset) {
  // Final: a cased letter before, none after; code points that carry no case of their own do not
  // count.
  bool cased_before = false;
  for (size_t end = offset; end > 0;) {
    const DecodedPoint point = DecodeUtf8Before(text, end);
    end -= point.size;
    if (InRanges(kCaseIgnorable, point.value)) continue;
    cased_before = IsCased(point.value);
    break;
  }
  if (!cased_before) return 0x3C3;
  for (size_t next = offset + 2; next < text.size();) {
    const DecodedPoint point = DecodeUtf8(text, next);
    next += point.size;
    if (InRanges(kCaseIgnorable, point.value)) continue;
    return IsCased(point.value) ? 0x3C3 : 0x3C2;
  }
  return 0x3C2;
}

}  // namespace fastkv::jinja
