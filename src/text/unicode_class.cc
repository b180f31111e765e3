#include "text/unicode_class.h"

#include <utf8proc.h>

namespace fastkv {
namespace {

// The last block of letters ends below this; what lies above is rare enough to be looked up.
constexpr char32_t kTableSize = 0x32000;

utf8proc_category_t Category(char32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

}  // namespace

bool IsWhiteSpace(char32_t code_point) {
  switch (code_point) {
    case 0x20:
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return true;
    default:
      return (code_point >= 0x09 && code_point <= 0x0D) ||
             (code_point >= 0x2000 && code_point <= 0x200A);
  }
}

bool IsWordCharacter(char32_t code_point) {
  switch (Category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    case UTF8PROC_CATEGORY_CF:
      return code_point == 0x200C || code_point == 0x200D;
    case UTF8PROC_CATEGORY_SO:
      return (code_point >= 0x24B6 && code_point <= 0x24E9) ||
             (code_point >= 0x1F130 && code_point <= 0x1F149) ||
             (code_point >= 0x1F150 && code_point <= 0x1F169) ||
             (code_point >= 0x1F170 && code_point <= 0x1F189);
    default:
      return false;
  }
}

bool IsNonspacingMark(char32_t code_point) { return Category(code_point) == UTF8PROC_CATEGORY_MN; }

char32_t LowerCase(char32_t code_point) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point)));
}

int DecimalDigitValue(char32_t code_point) {
  if (code_point < 0x80) {
    return code_point >= '0' && code_point <= '9' ? static_cast<int>(code_point - '0') : -1;
  }
  if (Category(code_point) != UTF8PROC_CATEGORY_ND) return -1;
  // Digits come in runs of ten from zero to nine, and runs may touch (U+1D7CE to U+1D7FF).
  if (code_point >= 0x1D7CE && code_point <= 0x1D7FF) {
    return static_cast<int>((code_point - 0x1D7CE) % 10);
  }
  int value = 0;
  while (value < 9 &&
         Category(code_point - static_cast<char32_t>(value) - 1) == UTF8PROC_CATEGORY_ND) {
    ++value;
  }
  return value;
}

const CharacterClasses& CharacterClasses::Get() {
  static const CharacterClasses classes;
  return classes;
}

CharacterClasses::CharacterClasses() : table_(kTableSize) {
  for (char32_t code_point = 0; code_point < kTableSize; ++code_point) {
    table_[code_point] = Compute(code_point);
  }
}

uint8_t CharacterClasses::Compute(char32_t code_point) {
  const uint8_t space = IsWhiteSpace(code_point) ? kClassSpace : 0;
  switch (Category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kClassLetter | kClassUpper;
    case UTF8PROC_CATEGORY_LL:
      return kClassLetter | kClassLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kClassLetter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kClassMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return kClassNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return kClassPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return kClassSymbol;
    default:
      return space;
  }
}

}  // namespace fastkv
