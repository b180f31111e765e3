// The text rules of the public scorers, which are Python's: its white space, its numbers, its way
// of splitting. Code points stand for Python's characters.
//
// Texts are valid UTF-8 (REQUIRES, everywhere); returned views point into the argument. All
// functions are thread-safe.
#ifndef FASTKV_EVAL_SCORERS_PYTHON_TEXT_H_
#define FASTKV_EVAL_SCORERS_PYTHON_TEXT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fastkv {

// str.isspace: Unicode's White_Space and the separators U+001C to U+001F.
bool IsPythonSpace(char32_t code_point);

// string.punctuation: the 32 characters of ASCII that are neither letters, digits nor control.
bool IsAsciiPunctuation(char32_t code_point);

// str.split() and str.strip().
std::vector<std::string_view> SplitWhiteSpace(std::string_view text);
std::string_view StripWhiteSpace(std::string_view text);

// str.split(separator): empty pieces count, and there is always one piece.
std::vector<std::string_view> SplitAt(std::string_view text, char separator);

// str.lstrip("\n").
std::string_view StripLeadingNewlines(std::string_view text);

// `text` with each character of `characters` (ASCII) replaced by a space.
std::string ReplaceBySpaces(std::string_view text, std::string_view characters);

// `text` with runs of spaces made one.
std::string SqueezeSpaces(std::string_view text);

// re.findall(r"\d+"): maximal runs of decimal digits of any script.
std::vector<std::string_view> DecimalNumbers(std::string_view text);

// re.findall("[0-9]+").
std::vector<std::string_view> AsciiNumbers(std::string_view text);

// int(text), as its shortest ASCII spelling ("-12", "0"), however long; nothing where Python raises
// ValueError.
std::optional<std::string> ParsePythonInteger(std::string_view text);

std::u32string CodePoints(std::string_view text);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_PYTHON_TEXT_H_
