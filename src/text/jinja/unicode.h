// Code points as Python's str sees them: white space, case, what repr() prints plainly.
//
// Thread-safety: pure functions.
#ifndef FASTKV_TEXT_JINJA_UNICODE_H_
#define FASTKV_TEXT_JINJA_UNICODE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fastkv::jinja {

struct DecodedPoint {
  char32_t value = 0;
  size_t size = 0;  // in bytes
};

// REQUIRES: text is valid UTF-8 and offset < text.size() at a code point border.
DecodedPoint DecodeUtf8(std::string_view text, size_t offset);
// The code point that ends at `end`. REQUIRES: end > 0 at a code point border.
DecodedPoint DecodeUtf8Before(std::string_view text, size_t end);
// Writes 1 to 4 bytes and returns how many. REQUIRES: a Unicode scalar value.
size_t EncodeUtf8(char32_t code_point, char* bytes);
bool IsValidUtf8(std::string_view text);

size_t CountCodePoints(std::string_view text);
// The byte offset of code point number `index`, or text.size() when there are fewer.
size_t OffsetOfCodePoint(std::string_view text, size_t index);

// str.isspace(): bidirectional class WS, B or S, or category Zs.
bool IsSpace(char32_t code_point);
// str.splitlines() breaks.
bool IsLineBreak(char32_t code_point);
// What repr() shows unescaped.
bool IsPrintable(char32_t code_point);
// \w of Python's re.
bool IsWordCharacter(char32_t code_point);

bool IsAlpha(char32_t code_point);
bool IsDecimalDigit(char32_t code_point);
bool IsDigit(char32_t code_point);
bool IsLower(char32_t code_point);
bool IsUpper(char32_t code_point);
bool IsTitle(char32_t code_point);
// Has case, for str.title() and str.islower().
bool IsCased(char32_t code_point);
// str.islower() or str.isupper(): cased code points there are, and all of that case.
bool HasOneCase(std::string_view text, bool lower);
bool IsIdentifier(std::string_view name);

// Full case mappings (one code point may become several), appended to `out` as UTF-8. Lower case of
// U+03A3 depends on its neighbours; see LowerSigma.
void AppendUpper(char32_t code_point, std::string* out);
void AppendLower(char32_t code_point, std::string* out);
void AppendTitle(char32_t code_point, std::string* out);
void AppendFolded(char32_t code_point, std::string* out);
// The lower case of the capital sigma at `offset`: final at the end of a word.
char32_t LowerSigma(std::string_view text, size_t offset);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_UNICODE_H_
