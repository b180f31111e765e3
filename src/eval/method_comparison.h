// What a side-by-side run of methods over the same questions has to tell: the content of the demo's
// table and page.
#ifndef FASTKV_EVAL_METHOD_COMPARISON_H_
#define FASTKV_EVAL_METHOD_COMPARISON_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace fastkv {

struct ComparedQuestion {
  std::string question;
  std::string expected;  // empty: answers are shown and not judged
};

struct GivenAnswer {
  std::string text;
  double score = 0;  // share of the expected answer's parts that occur, 0 to 1

  bool is_right() const { return score >= 1; }
};

struct ComparedMethod {
  std::string name;                  // "full context", "FastKV"
  double first_token_ms = 0;         // median over the questions
  double decode_ms_per_token = 0;    // median over the questions
  int64_t kv_bytes = 0;              // KV memory held after prefill, measured
  std::vector<GivenAnswer> answers;  // [questions]

  int64_t NumRight() const {
    int64_t right = 0;
    for (const GivenAnswer& answer : answers) right += answer.is_right() ? 1 : 0;
    return right;
  }
};

struct MethodComparison {
  std::string model;    // "needle-16m"
  std::string machine;  // one line
  int64_t prompt_tokens = 0;
  std::vector<ComparedQuestion> questions;
  ComparedMethod baseline;
  ComparedMethod method;

  bool IsJudged() const {
    return std::any_of(questions.begin(), questions.end(),
                       [](const ComparedQuestion& question) { return !question.expected.empty(); });
  }
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_METHOD_COMPARISON_H_
