#include "eval/scorers/infinitebench_scores.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "eval/scorers/python_text.h"
#include "io/quoted.h"
#include "text/unicode_case.h"
#include "text/unicode_class.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

Status WrongLabel(std::string_view expected, const Json& label) {
  return FormatError("expected " + std::string(expected) + " as the answer, got " +
                     Quoted(DumpJson(label)));
}

// Releases of the data differ in whether the one label stands in a list.
const Json& Unwrapped(const Json& label) {
  return label.is_array() && label.size() == 1 ? label[0] : label;
}

Result<std::string> StringLabel(const Json& label) {
  const Json& value = Unwrapped(label);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return DumpJson(value);
  return WrongLabel("one string", label);
}

// A number as Python holds it: an integer of any size, or a double.
struct NumberLabel {
  std::optional<std::string> integer;  // the shortest spelling
  double decimal = 0;

  // Python compares an integer and a double by value.
  bool EqualsInteger(const std::string& number) const {
    return integer ? number == *integer : std::strtod(number.c_str(), nullptr) == decimal;
  }
};

Result<NumberLabel> ReadNumber(const Json& value, const Json& label) {
  NumberLabel number;
  if (value.is_number_integer()) {
    number.integer = DumpJson(value);
  } else if (value.is_number_float()) {
    number.decimal = value.get<double>();
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    number.integer = ParsePythonInteger(text);
    if (!number.integer) {
      const std::string_view digits = StripWhiteSpace(text);
      const char* end = digits.data() + digits.size();
      const auto [rest, error] = std::from_chars(digits.data(), end, number.decimal);
      if (error != std::errc() || rest != end) return WrongLabel("a number", label);
    }
  } else {
    return WrongLabel("a number", label);
  }
  return number;
}

std::string WithoutLeadingZeros(std::string_view digits) {
  const size_t first = digits.find_first_not_of('0');
  return first == digits.npos ? "0" : std::string(digits.substr(first));
}

// The first match of \d+\.\d+|\d+, in ASCII digits.
struct FoundNumber {
  std::string text;
  bool has_decimals = false;
};
std::optional<FoundNumber> FirstNumber(std::string_view text) {
  FoundNumber found;
  for (size_t position = 0; position < text.size();) {
    const auto [code_point, length_bytes] = DecodeUtf8(text, position);
    position += length_bytes;
    const int digit = DecimalDigitValue(code_point);
    if (digit >= 0) {
      found.text += static_cast<char>('0' + digit);
      continue;
    }
    if (found.text.empty()) continue;
    const bool digit_follows =
        position < text.size() && DecimalDigitValue(DecodeUtf8(text, position).value) >= 0;
    if (code_point != '.' || found.has_decimals || !digit_follows) break;
    found.text += '.';
    found.has_decimals = true;
  }
  if (found.text.empty()) return std::nullopt;
  return found;
}

}  // namespace

std::vector<std::string> RetrievalWords(std::string_view prediction) {
  const std::string spaced = ReplaceBySpaces(prediction, "\n:\"'.,?!{}");
  const auto words = SplitWhiteSpace(spaced);
  return {words.begin(), words.end()};
}

Result<double> FirstIntegerScore(std::string_view prediction, const Json& label) {
  FASTKV_ASSIGN_OR_RETURN(const std::string wanted, StringLabel(label));
  const auto numbers = AsciiNumbers(prediction);
  const std::string_view first = numbers.empty() ? std::string_view() : numbers[0];
  return first == wanted ? 1.0 : 0.0;
}

Result<double> KeyValueScore(std::string_view prediction, const Json& label) {
  FASTKV_ASSIGN_OR_RETURN(const std::string wanted, StringLabel(label));
  const auto words = RetrievalWords(prediction);
  return std::find(words.begin(), words.end(), wanted) != words.end() ? 1.0 : 0.0;
}

Result<double> CodeRunScore(std::string_view prediction, const Json& label) {
  FASTKV_ASSIGN_OR_RETURN(const NumberLabel wanted, ReadNumber(Unwrapped(label), label));
  const std::string spaced = ReplaceBySpaces(prediction, "\n.`'\":");
  const auto words = SplitWhiteSpace(spaced);
  if (words.empty()) return 0.0;
  const std::optional<std::string> last = ParsePythonInteger(words.back());
  return last && wanted.EqualsInteger(*last) ? 1.0 : 0.0;
}

Result<double> MathFindScore(std::string_view prediction, const Json& label) {
  FASTKV_ASSIGN_OR_RETURN(const NumberLabel wanted, ReadNumber(Unwrapped(label), label));
  const std::optional<FoundNumber> found = FirstNumber(prediction);
  if (!found) return 0.0;
  if (!wanted.integer) {
    return std::strtod(found->text.c_str(), nullptr) == wanted.decimal ? 1.0 : 0.0;
  }
  if (found->has_decimals) return 0.0;
  return wanted.EqualsInteger(WithoutLeadingZeros(found->text)) ? 1.0 : 0.0;
}

Result<double> MathCalcScore(std::string_view prediction, const Json& label, bool drop_first) {
  const bool nested = label.is_array() && !label.empty() && label[0].is_array();
  const Json& labels = nested ? label[0] : label;
  if (!labels.is_array() || labels.empty()) return WrongLabel("a list of numbers", label);
  auto numbers = AsciiNumbers(prediction);
  if (drop_first && !numbers.empty()) numbers.erase(numbers.begin());
  size_t num_right = 0;
  for (const Json& value : labels) {
    FASTKV_ASSIGN_OR_RETURN(const NumberLabel wanted, ReadNumber(value, label));
    if (num_right == numbers.size()) break;
    if (!wanted.EqualsInteger(WithoutLeadingZeros(numbers[num_right]))) break;
    ++num_right;
  }
  return static_cast<double>(num_right) / static_cast<double>(labels.size());
}

Result<double> DialogueNameScore(std::string_view prediction, const Json& label, bool any_label) {
  const Json labels = label.is_string() ? Json::array({label}) : label;
  if (!labels.is_array() || labels.empty()) return WrongLabel("a list of names", label);
  for (const Json& name : labels) {
    if (!name.is_string()) return WrongLabel("a list of names", label);
  }
  std::vector<std::string> words = RetrievalWords(prediction);
  for (std::string& word : words) word = FullUpperCase(word);
  const size_t num_looked_for = any_label ? labels.size() : 1;
  for (size_t i = 0; i < num_looked_for; ++i) {
    const auto& name = labels[i].get_ref<const std::string&>();
    if (std::find(words.begin(), words.end(), name) != words.end()) return 1.0;
  }
  return 0.0;
}

}  // namespace fastkv
