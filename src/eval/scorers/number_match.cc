#include "eval/scorers/number_match.h"

#include <algorithm>
#include <string>

#include "eval/scorers/python_text.h"
#include "io/quoted.h"
#include "text/unicode_class.h"
#include "text/unicode_utf8.h"

namespace fastkv {

double CountScore(std::string_view prediction, std::string_view answer) {
  const auto numbers = DecimalNumbers(prediction);
  if (numbers.empty()) return 0;
  const auto num_right = std::count(numbers.begin(), numbers.end(), answer);
  return static_cast<double>(num_right) / static_cast<double>(numbers.size());
}

Result<double> RetrievalScore(std::string_view prediction, std::string_view answer,
                              std::string_view label) {
  for (size_t at = answer.find(label); at != answer.npos; at = answer.find(label, at + 1)) {
    const std::string_view rest = answer.substr(at + label.size());
    if (!rest.empty() && DecimalDigitValue(DecodeUtf8(rest, 0).value) >= 0) {
      return CountScore(prediction, DecimalNumbers(rest)[0]);
    }
  }
  return FormatError("expected an answer with '" + std::string(label) + "' and a number, got " +
                     Quoted(answer));
}

}  // namespace fastkv
