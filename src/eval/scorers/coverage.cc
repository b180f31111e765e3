#include "eval/scorers/coverage.h"

#include <algorithm>
#include <set>
#include <string>

#include "eval/scorers/python_text.h"
#include "text/unicode_case.h"

namespace fastkv {
namespace {

std::set<std::string> LowerWords(std::string_view text) {
  const std::string lower = FullLowerCase(text);
  const auto words = SplitWhiteSpace(lower);
  return {words.begin(), words.end()};
}

}  // namespace

double WordCoverage(std::string_view response, std::string_view expected) {
  const std::set<std::string> wanted = LowerWords(expected);
  if (wanted.empty()) return 0;
  const std::set<std::string> given = LowerWords(response);
  const auto num_found = std::count_if(
      wanted.begin(), wanted.end(), [&](const std::string& word) { return given.contains(word); });
  return static_cast<double>(num_found) / static_cast<double>(wanted.size());
}

}  // namespace fastkv
