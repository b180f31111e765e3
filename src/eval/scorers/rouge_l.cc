#include "eval/scorers/rouge_l.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "eval/scorers/jieba_segmenter.h"
#include "eval/scorers/lcs.h"
#include "eval/scorers/python_text.h"

namespace fastkv {
namespace {

using Sentences = std::vector<std::vector<int32_t>>;

Sentences SentencesOf(std::string_view text, WordIds& ids) {
  Sentences sentences;
  for (const std::string_view piece : SplitAt(text, '.')) {
    if (piece.empty()) continue;
    std::vector<int32_t>& words = sentences.emplace_back();
    for (const std::string_view word : SplitWhiteSpace(piece)) words.push_back(ids.Of(word));
    // A blank piece is one empty word, since Python's "".split(" ") is [""].
    if (words.empty()) words.push_back(ids.Of(""));
  }
  return sentences;
}

double NumDistinct(const Sentences& sentences) {
  std::unordered_set<int32_t> distinct;
  for (const auto& words : sentences) distinct.insert(words.begin(), words.end());
  return static_cast<double>(distinct.size());
}

std::string SpacedWords(std::string_view text, const JiebaSegmenter& segmenter) {
  std::string spaced;
  for (const std::string& word : segmenter.Segment(text)) {
    if (!spaced.empty()) spaced += ' ';
    spaced += word;
  }
  return spaced;
}

}  // namespace

Result<double> RougeL(std::string_view prediction, std::string_view answer,
                      const RougeLOptions& options) {
  WordIds ids;
  const Sentences hypotheses = SentencesOf(prediction, ids);
  const Sentences references = SentencesOf(answer, ids);
  if (hypotheses.empty() || references.empty()) return 0.0;
  std::unordered_set<int32_t> common;
  for (const auto& reference : references) {
    for (const auto& hypothesis : hypotheses) {
      FASTKV_ASSIGN_OR_RETURN(const LcsTrace trace,
                              TraceLcs(reference, hypothesis, LcsTie::kDropSecond));
      if (options.max_trace_steps && trace.num_steps > *options.max_trace_steps) return 0.0;
      for (const int32_t index : trace.indices) {
        common.insert(reference[static_cast<size_t>(index)]);
      }
    }
  }
  const double recall = static_cast<double>(common.size()) / NumDistinct(references);
  const double precision = static_cast<double>(common.size()) / NumDistinct(hypotheses);
  return 2 * (precision * recall) / (precision + recall + 1e-8);
}

Result<double> ChineseRougeL(std::string_view prediction, std::string_view answer,
                             const JiebaSegmenter& segmenter, const RougeLOptions& options) {
  return RougeL(SpacedWords(prediction, segmenter), SpacedWords(answer, segmenter), options);
}

}  // namespace fastkv
