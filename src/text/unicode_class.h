// The character properties that tokenizer patterns ask for.
#ifndef FASTKV_TEXT_UNICODE_CLASS_H_
#define FASTKV_TEXT_UNICODE_CLASS_H_

#include <cstdint>
#include <vector>

namespace fastkv {

// Bits of a character class.
enum CharacterClass : uint8_t {
  kClassLetter = 1,        // \p{L}
  kClassNumber = 2,        // \p{N}
  kClassSpace = 4,         // White_Space: not U+200B, U+FEFF, U+001C to U+001F
  kClassMark = 8,          // \p{M}
  kClassUpper = 16,        // \p{Lu} and \p{Lt}
  kClassLower = 32,        // \p{Ll}
  kClassPunctuation = 64,  // \p{P}
  kClassSymbol = 128,      // \p{S}
};

// Thread-safe.
class CharacterClasses {
 public:
  // The one table; built at the first call, lives as long as the process.
  static const CharacterClasses& Get();

  // The CharacterClass bits of a code point.
  uint8_t operator[](char32_t code_point) const {
    return code_point < table_.size() ? table_[code_point] : Compute(code_point);
  }

 private:
  CharacterClasses();
  static uint8_t Compute(char32_t code_point);

  std::vector<uint8_t> table_;
};

// Unicode's White_Space property.
bool IsWhiteSpace(char32_t code_point);

// What regular expressions over Unicode call a word character (UTS 18, \w): letters, marks, decimal
// and letter numbers, connector punctuation, joiners, and the symbols that count as alphabetic.
bool IsWordCharacter(char32_t code_point);

// The nonspacing marks, category Mn.
bool IsNonspacingMark(char32_t code_point);

// The simple lower case, one code point to one.
char32_t LowerCase(char32_t code_point);

// The value of a decimal digit (category Nd, of any script), or -1.
int DecimalDigitValue(char32_t code_point);

}  // namespace fastkv

#endif  // FASTKV_TEXT_UNICODE_CLASS_H_
