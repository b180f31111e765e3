#include "eval/fact_marks.h"

#include <algorithm>

namespace fastkv {

std::vector<MarkedFact> MarkFacts(const NeedleSample& sample,
                                  std::span<const std::string> token_texts) {
  std::string text;
  std::vector<size_t> token_begin;  // [num_tokens]
  for (const std::string& token : token_texts) {
    token_begin.push_back(text.size());
    text += token;
  }
  // The last token that begins at or before a byte. A token without text begins where the next one
  // does.
  const auto token_at = [&](size_t byte) {
    const auto after = std::upper_bound(token_begin.begin(), token_begin.end(), byte);
    return static_cast<int64_t>(after - token_begin.begin()) - 1;
  };
  std::vector<MarkedFact> marks;
  for (const FactSpan& fact : sample.facts) {
    const size_t begin = text.find(sample.prompt.substr(fact.begin, fact.end - fact.begin));
    if (begin == text.npos) continue;
    const auto span = [&](size_t first_byte, size_t end_byte) {
      return TokenSpan{.first = token_at(begin + (first_byte - fact.begin)),
                       .end = token_at(begin + (end_byte - fact.begin) - 1) + 1};
    };
    marks.push_back(
        {.sentence = span(fact.begin, fact.end),
         .value = span(fact.value_begin, fact.value_end),
         .label = sample.prompt.substr(fact.value_begin, fact.value_end - fact.value_begin)});
  }
  return marks;
}

}  // namespace fastkv
