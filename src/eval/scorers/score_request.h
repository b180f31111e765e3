// One prediction to be scored by the rules of a public benchmark.
#ifndef FASTKV_EVAL_SCORERS_SCORE_REQUEST_H_
#define FASTKV_EVAL_SCORERS_SCORE_REQUEST_H_

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "eval/scorers/code_similarity.h"
#include "eval/scorers/jieba_segmenter.h"
#include "eval/scorers/rouge_l.h"
#include "io/json.h"

namespace fastkv {

struct ScoreRequest {
  std::string suite;  // longbench, ruler, infinitebench, needle
  std::string task;   // a data set or task of it; of needle: coverage, rouge1
  std::string prediction;
  Json answers;  // a list of strings; in infinitebench any value
  std::vector<std::string> all_classes;
  std::vector<std::string> options;
  std::string profile;  // official or fastkv; they differ in ruler alone
  std::string model;    // gpt4 changes math_calc alone
};

// The fields of the same names; `profile` is "official" and the last ones are empty where they are
// missing, other fields are left aside. Errors: kFormat. Thread-safe.
Result<ScoreRequest> ParseScoreRequest(const Json& json);

struct ScoringOptions {
  const JiebaSegmenter* segmenter = nullptr;   // must outlive the call
  EditRatio edit_ratio = EditRatio::kDifflib;  // of LongBench's code sets
  RougeLOptions rouge;                         // of LongBench
  bool any_dialogue_name = false;              // of longdialogue_qa_eng
};

// 0 to 1, of rouge1 0 to 10, unrounded; nothing where Chinese words are needed and there is no
// segmenter. Errors: kInvalidArgument for an unknown suite, task or profile; kFormat for answers
// that do not suit the task; kLimit for texts too long to compare. Thread-safe.
Result<std::optional<double>> ScorePrediction(const ScoreRequest& request,
                                              const ScoringOptions& options);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_SCORE_REQUEST_H_
