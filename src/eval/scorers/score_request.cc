#include "eval/scorers/score_request.h"

#include <algorithm>
#include <string_view>

#include "eval/scorers/coverage.h"
#include "eval/scorers/infinitebench_choice.h"
#include "eval/scorers/infinitebench_scores.h"
#include "eval/scorers/longbench_scores.h"
#include "eval/scorers/python_text.h"
#include "eval/scorers/rouge_1.h"
#include "eval/scorers/rouge_lsum.h"
#include "eval/scorers/ruler_tasks.h"
#include "eval/scorers/string_match.h"
#include "eval/scorers/token_f1.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

Result<std::vector<std::string>> Strings(const Json& json, std::string_view name) {
  std::vector<std::string> strings;
  const bool is_list = json.is_array();
  for (size_t i = 0; is_list && i < json.size() && json[i].is_string(); ++i) {
    strings.push_back(json[i].get<std::string>());
  }
  if (!is_list || strings.size() != json.size()) {
    return FormatError("expected a list of strings as '" + std::string(name) + "', got " +
                       Quoted(DumpJson(json)));
  }
  return strings;
}

Status UnknownTask(const ScoreRequest& request) {
  return InvalidArgumentError("suite '" + request.suite + "' has no task " + Quoted(request.task));
}

Result<std::optional<double>> ScoreLongBench(const ScoreRequest& request,
                                             const ScoringOptions& options) {
  const auto metric = LongBenchMetricOf(request.task);
  if (!metric) return UnknownTask(request);
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> answers,
                          Strings(request.answers, "answers"));
  if (NeedsSegmenter(*metric) && options.segmenter == nullptr) return std::optional<double>();
  if (*metric == LongBenchMetric::kClassification && request.all_classes.empty()) {
    return FormatError("expected the classes as 'all_classes', got none");
  }
  FASTKV_ASSIGN_OR_RETURN(const double score, LongBenchScore({.dataset = request.task,
                                                              .prediction = request.prediction,
                                                              .answers = answers,
                                                              .all_classes = request.all_classes,
                                                              .segmenter = options.segmenter,
                                                              .edit_ratio = options.edit_ratio,
                                                              .rouge = options.rouge}));
  return std::optional(score);
}

// FastKV's scripts score every task alike and take the prediction as it is.
Result<double> ScoreRuler(const ScoreRequest& request) {
  const auto names = RulerTaskNames();
  if (std::find(names.begin(), names.end(), request.task) == names.end()) {
    return UnknownTask(request);
  }
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> answers,
                          Strings(request.answers, "answers"));
  if (request.profile == "fastkv") return StringMatchAll(request.prediction, answers);
  const std::string cleaned = CleanRulerPrediction(request.prediction);
  const bool any_suffices = request.task == "qa_1" || request.task == "qa_2";
  return any_suffices ? StringMatchPart(cleaned, answers) : StringMatchAll(cleaned, answers);
}

// A list of strings, or one string alone.
Result<std::vector<std::string>> Labels(const Json& answers) {
  return Strings(answers.is_string() ? Json::array({answers}) : answers, "answers");
}

template <typename Metric>
Result<double> BestOver(const std::vector<std::string>& labels, Metric metric) {
  double best = 0;
  for (const std::string& label : labels) {
    const Result<double> score = metric(label);
    if (!score.ok()) return score.status();
    best = std::max(best, score.value());
  }
  return best;
}

Result<double> ScoreInfiniteBenchBook(const ScoreRequest& request) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> labels, Labels(request.answers));
  return BestOver(labels, [&](const std::string& label) -> Result<double> {
    if (request.task == "longbook_qa_eng") return EnglishF1(request.prediction, label);
    if (request.task == "longbook_qa_chn") return ChineseCharacterF1(request.prediction, label);
    return RougeLsum(request.prediction, label);
  });
}

Result<double> ScoreInfiniteBench(const ScoreRequest& request, const ScoringOptions& options) {
  const std::string& task = request.task;
  const std::string& prediction = request.prediction;
  if (task == "passkey" || task == "number_string") {
    return FirstIntegerScore(prediction, request.answers);
  }
  if (task == "kv_retrieval") return KeyValueScore(prediction, request.answers);
  if (task == "code_run") return CodeRunScore(prediction, request.answers);
  if (task == "math_find") return MathFindScore(prediction, request.answers);
  if (task == "math_calc") {
    return MathCalcScore(prediction, request.answers, /*drop_first=*/request.model == "gpt4");
  }
  if (task == "longdialogue_qa_eng") {
    return DialogueNameScore(prediction, request.answers, options.any_dialogue_name);
  }
  if (task == "longbook_choice_eng" || task == "code_debug") {
    FASTKV_ASSIGN_OR_RETURN(const ChoiceLabel label,
                            ChoiceLabelOf(request.answers, request.options));
    return task == "code_debug" ? CodeDebugScore(prediction, label)
                                : BookChoiceScore(prediction, label);
  }
  if (task == "longbook_qa_eng" || task == "longbook_qa_chn" || task == "longbook_sum_eng") {
    return ScoreInfiniteBenchBook(request);
  }
  return UnknownTask(request);
}

Result<double> ScoreNeedle(const ScoreRequest& request) {
  if (request.task != "coverage" && request.task != "rouge1") return UnknownTask(request);
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> answers,
                          Strings(request.answers, "answers"));
  if (answers.size() != 1) {
    return FormatError("expected one answer, got " + std::to_string(answers.size()));
  }
  if (request.task == "coverage") return WordCoverage(request.prediction, answers[0]);
  return 10 * Rouge1(StripWhiteSpace(request.prediction), answers[0]);
}

}  // namespace

Result<ScoreRequest> ParseScoreRequest(const Json& json) {
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, "prediction"));
  ScoreRequest request;
  FASTKV_ASSIGN_OR_RETURN(request.suite, fields.String("suite"));
  FASTKV_ASSIGN_OR_RETURN(request.task, fields.String("task"));
  FASTKV_ASSIGN_OR_RETURN(request.prediction, fields.String("prediction"));
  FASTKV_ASSIGN_OR_RETURN(request.profile, fields.StringOr("profile", "official"));
  FASTKV_ASSIGN_OR_RETURN(request.model, fields.StringOr("model", ""));
  const Json* answers = fields.Find("answers");
  if (answers == nullptr) return FormatError("expected the field 'answers', found none");
  request.answers = *answers;
  if (const Json* classes = fields.Find("all_classes")) {
    FASTKV_ASSIGN_OR_RETURN(request.all_classes, Strings(*classes, "all_classes"));
  }
  if (const Json* options = fields.Find("options")) {
    FASTKV_ASSIGN_OR_RETURN(request.options, Strings(*options, "options"));
  }
  return request;
}

Result<std::optional<double>> ScorePrediction(const ScoreRequest& request,
                                              const ScoringOptions& options) {
  if (request.profile != "official" && request.profile != "fastkv") {
    return InvalidArgumentError("expected the profile official or fastkv, got " +
                                Quoted(request.profile));
  }
  if (request.suite == "longbench") return ScoreLongBench(request, options);
  Result<double> score = InvalidArgumentError(
      "expected the suite longbench, ruler, infinitebench or needle, got " + Quoted(request.suite));
  if (request.suite == "ruler") score = ScoreRuler(request);
  if (request.suite == "infinitebench") score = ScoreInfiniteBench(request, options);
  if (request.suite == "needle") score = ScoreNeedle(request);
  if (!score.ok()) return score.status();
  return std::optional(score.value());
}

}  // namespace fastkv
