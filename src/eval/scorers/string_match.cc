#include "eval/scorers/string_match.h"

#include <algorithm>

#include "eval/scorers/python_text.h"
#include "text/unicode_case.h"

namespace fastkv {
namespace {

int64_t NumFound(std::string_view prediction, std::span<const std::string> references) {
  const std::string lower = FullLowerCase(prediction);
  return std::count_if(references.begin(), references.end(), [&](const std::string& reference) {
    return lower.find(FullLowerCase(reference)) != lower.npos;
  });
}

}  // namespace

std::string CleanRulerPrediction(std::string_view prediction) {
  std::string cleaned(StripWhiteSpace(prediction));
  for (char& c : cleaned) {
    if (static_cast<unsigned char>(c) < 0x20) c = '\n';
  }
  return std::string(StripWhiteSpace(cleaned));
}

double StringMatchAll(std::string_view prediction, std::span<const std::string> references) {
  if (references.empty()) return 0;
  return static_cast<double>(NumFound(prediction, references)) /
         static_cast<double>(references.size());
}

double StringMatchPart(std::string_view prediction, std::span<const std::string> references) {
  return NumFound(prediction, references) > 0 ? 1 : 0;
}

}  // namespace fastkv
