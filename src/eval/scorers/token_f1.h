// F1 over bags of tokens, the question-answering metric of LongBench and InfiniteBench.
//
// Texts are valid UTF-8 (REQUIRES); all functions are thread-safe.
#ifndef FASTKV_EVAL_SCORERS_TOKEN_F1_H_
#define FASTKV_EVAL_SCORERS_TOKEN_F1_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fastkv {

class JiebaSegmenter;

// The words of an English answer: lower case, ASCII punctuation deleted, then the articles a, an
// and the. Source: normalize_answer of LongBench (metrics.py) and InfiniteBench
// (compute_scores.py).
std::vector<std::string> EnglishWords(std::string_view text);

// A Chinese answer in lower case without punctuation and white space. Source: normalize_zh_answer
// of the same files.
std::string NormalizeChinese(std::string_view text);

// 2PR/(P+R), where P and R are the shares of `prediction` and of `answer` in the intersection of
// the two bags; 0 when that is empty.
template <typename Token>
double BagF1(std::vector<Token> prediction, std::vector<Token> answer) {
  std::sort(prediction.begin(), prediction.end());
  std::sort(answer.begin(), answer.end());
  int64_t num_common = 0;
  auto p = prediction.begin();
  auto a = answer.begin();
  while (p != prediction.end() && a != answer.end()) {
    if (*p < *a) {
      ++p;
    } else if (*a < *p) {
      ++a;
    } else {
      ++num_common;
      ++p;
      ++a;
    }
  }
  if (num_common == 0) return 0;
  const double precision = static_cast<double>(num_common) / static_cast<double>(prediction.size());
  const double recall = static_cast<double>(num_common) / static_cast<double>(answer.size());
  return 2 * precision * recall / (precision + recall);
}

// qa_f1_score.
double EnglishF1(std::string_view prediction, std::string_view answer);

// LongBench's qa_f1_zh_score: normalised words of a segmentation.
double ChineseWordF1(std::string_view prediction, std::string_view answer,
                     const JiebaSegmenter& segmenter);

// InfiniteBench's qa_f1_score_zh: every remaining code point is a token.
double ChineseCharacterF1(std::string_view prediction, std::string_view answer);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_TOKEN_F1_H_
