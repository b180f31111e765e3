#include "text/unicode_case.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr char32_t kCapitalIWithDot = 0x130;
constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kFinalSigma = 0x3C2;

struct Range {
  char32_t first;
  char32_t last;
};

utf8proc_category_t Category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

template <size_t kSize>
bool InRanges(const std::array<Range, kSize>& ranges, char32_t code_point) {
  const auto next =
      std::upper_bound(ranges.begin(), ranges.end(), code_point,
                       [](char32_t c, const Range& range) { return c < range.first; });
  return next != ranges.begin() && code_point <= std::prev(next)->last;
}

// Cased characters (Other_Lowercase and Other_Uppercase of PropList.txt) that are neither cased
// letters nor among those that case looks past.
constexpr std::array<Range, 7> kOtherCased = {{
    {0xAA, 0xAA},
    {0xBA, 0xBA},
    {0x2160, 0x217F},
    {0x24B6, 0x24E9},
    {0x1F130, 0x1F149},
    {0x1F150, 0x1F169},
    {0x1F170, 0x1F189},
}};

// Word_Break = MidLetter, MidNumLet or Single_Quote: marks inside words that case looks past.
constexpr std::array<Range, 16> kInsideWords = {{
    {0x27, 0x27},
    {0x2E, 0x2E},
    {0x3A, 0x3A},
    {0xB7, 0xB7},
    {0x387, 0x387},
    {0x55F, 0x55F},
    {0x5F4, 0x5F4},
    {0x2018, 0x2019},
    {0x2024, 0x2024},
    {0x2027, 0x2027},
    {0xFE13, 0xFE13},
    {0xFE52, 0xFE52},
    {0xFE55, 0xFE55},
    {0xFF07, 0xFF07},
    {0xFF0E, 0xFF0E},
    {0xFF1A, 0xFF1A},
}};

bool IsCased(char32_t code_point) {
  switch (Category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      return InRanges(kOtherCased, code_point);
  }
}

bool IsCaseIgnorable(char32_t code_point) {
  switch (Category(code_point)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return InRanges(kInsideWords, code_point);
  }
}

// Whether a cased letter stands before `position`, marks aside.
bool CasedBefore(std::string_view text, size_t position) {
  while (position > 0) {
    position = PreviousUtf8(text, position);
    const char32_t code_point = DecodeUtf8(text, position).value;
    if (!IsCaseIgnorable(code_point)) return IsCased(code_point);
  }
  return false;
}

bool CasedFrom(std::string_view text, size_t position) {
  while (position < text.size()) {
    const CodePoint next = DecodeUtf8(text, position);
    if (!IsCaseIgnorable(next.value)) return IsCased(next.value);
    position += next.length_bytes;
  }
  return false;
}

void AppendLower(char32_t code_point, std::string& text) {
  AppendUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))),
             text);
}

void AppendUpper(char32_t code_point, std::string& text) {
  AppendUtf8(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code_point))),
             text);
}

// Upper cases of several code points are those of the full case folding, taken one by one; capitals
// that fold into several (U+0130, U+1E9E) stay.
void AppendFullUpper(char32_t code_point, std::string& text) {
  if (Category(code_point) != UTF8PROC_CATEGORY_LU) {
    std::array<utf8proc_int32_t, 8> folded{};
    int last_boundclass = 0;
    const utf8proc_ssize_t size = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(code_point), folded.data(),
        static_cast<utf8proc_ssize_t>(folded.size()), UTF8PROC_CASEFOLD, &last_boundclass);
    if (size > 1 && size <= static_cast<utf8proc_ssize_t>(folded.size())) {
      for (utf8proc_ssize_t i = 0; i < size; ++i) {
        AppendUpper(static_cast<char32_t>(folded[static_cast<size_t>(i)]), text);
      }
      return;
    }
  }
  AppendUpper(code_point, text);
}

}  // namespace

std::string FullLowerCase(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    if (code_point == kCapitalIWithDot) {
      lower += "i\xCC\x87";
    } else if (code_point == kCapitalSigma && CasedBefore(text, position) &&
               !CasedFrom(text, position + length_bytes)) {
      AppendUtf8(kFinalSigma, lower);
    } else {
      AppendLower(code_point, lower);
    }
    position += length_bytes;
  }
  return lower;
}

std::string FullUpperCase(std::string_view text) {
  std::string upper;
  upper.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    AppendFullUpper(code_point, upper);
    position += length_bytes;
  }
  return upper;
}

}  // namespace fastkv
