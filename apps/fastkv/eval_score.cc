#include "fastkv/eval_score.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string_view>

#include "base/limits.h"
#include "eval/scorers/jieba_segmenter.h"
#include "eval/scorers/python_text.h"
#include "eval/scorers/score_request.h"
#include "io/json.h"

namespace fastkv {
namespace {

Result<std::string> ScoreLine(std::string_view line, const ScoringOptions& scoring, bool as_json) {
  FASTKV_ASSIGN_OR_RETURN(const Json json, ParseJson(line));
  FASTKV_ASSIGN_OR_RETURN(const ScoreRequest request, ParseScoreRequest(json));
  if (!json.contains("id")) return FormatError("expected the field 'id', found none");
  FASTKV_ASSIGN_OR_RETURN(const std::optional<double> score, ScorePrediction(request, scoring));
  if (!as_json) {
    const Json& id = json["id"];
    return fmt::format("{}\t{}\n", id.is_string() ? id.get<std::string>() : DumpJson(id),
                       score ? fmt::format("{}", *score) : "unsupported");
  }
  Json result;
  result["id"] = json["id"];
  result["score"] = score ? Json(*score) : Json(nullptr);
  if (!score) result["unsupported"] = "jieba";
  return DumpJson(result) + '\n';
}

}  // namespace

void AddEvalScoreOptions(CLI::App& command, EvalScoreOptions& options) {
  command
      .add_option("--input", options.input_file,
                  "JSON lines with id, suite, task, prediction and answers")
      ->required();
  command.add_option("--jieba-dict", options.jieba_folder,
                     "Folder of the Python package jieba (dict.txt, finalseg/), for Chinese words");
  command
      .add_option("--edit-ratio", options.edit_ratio,
                  "LongBench's code sets: as without (difflib) or with python-Levenshtein (indel)")
      ->capture_default_str()
      ->check(CLI::IsMember({"difflib", "indel"}));
  command
      .add_option("--rouge-trace-limit", options.rouge_trace_limit,
                  "LongBench's ROUGE-L: score 0 beyond so many steps, as the package does at about "
                  "990 [default: none]")
      ->check(CLI::PositiveNumber);
  command.add_flag("--any-name", options.any_name,
                   "longdialogue_qa_eng: any of the names counts, not the first alone");
  command.add_flag("--json", options.json, "Print one JSON object a line");
}

Status RunEvalScore(const EvalScoreOptions& options, std::ostream& out) {
  std::unique_ptr<JiebaSegmenter> segmenter;
  if (!options.jieba_folder.empty()) {
    FASTKV_ASSIGN_OR_RETURN(segmenter,
                            JiebaSegmenter::Load(RealFileSystem(), options.jieba_folder));
  }
  ScoringOptions scoring{
      .segmenter = segmenter.get(),
      .edit_ratio = options.edit_ratio == "indel" ? EditRatio::kIndel : EditRatio::kDifflib,
      .any_dialogue_name = options.any_name};
  if (options.rouge_trace_limit > 0) scoring.rouge.max_trace_steps = options.rouge_trace_limit;

  FASTKV_ASSIGN_OR_RETURN(
      const std::string input,
      RealFileSystem().ReadFile(options.input_file, limits::kMaxPromptFileBytes));
  std::string output;
  int64_t line_number = 0;
  for (const std::string_view line : SplitAt(input, '\n')) {
    ++line_number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const Result<std::string> scored = ScoreLine(line, scoring, options.json);
    if (!scored.ok()) {
      return scored.status().WithContext(options.input_file + " line " +
                                         std::to_string(line_number));
    }
    output += scored.value();
  }
  out << output;
  return OkStatus();
}

}  // namespace fastkv
