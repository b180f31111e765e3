#include "eval/scorers/code_similarity.h"

#include <cmath>

#include "eval/scorers/python_text.h"
#include "eval/scorers/sequence_matcher.h"

namespace fastkv {

std::string_view FirstCodeLine(std::string_view prediction) {
  for (const std::string_view line : SplitAt(StripLeadingNewlines(prediction), '\n')) {
    const bool is_code = line.find_first_of("`#") == line.npos && line.find("//") == line.npos;
    if (is_code) return line;
  }
  return {};
}

int FuzzRatio(std::string_view a, std::string_view b, EditRatio ratio) {
  if (a == b) return 100;
  if (a.empty() || b.empty()) return 0;
  const std::u32string a_characters = CodePoints(a);
  const std::u32string b_characters = CodePoints(b);
  const double share = ratio == EditRatio::kDifflib ? DifflibRatio(a_characters, b_characters)
                                                    : IndelRatio(a_characters, b_characters);
  return static_cast<int>(std::nearbyint(100 * share));
}

double CodeSimilarity(std::string_view prediction, std::string_view answer, EditRatio ratio) {
  return FuzzRatio(FirstCodeLine(prediction), answer, ratio) / 100.0;
}

}  // namespace fastkv
