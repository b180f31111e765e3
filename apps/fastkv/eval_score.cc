#include "fastkv/eval_score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "eval/scorers/dataset_score.h"
#include "eval/scorers/jieba_segmenter.h"
#include "eval/scorers/python_text.h"
#include "eval/scorers/score_request.h"
#include "io/json.h"

namespace fastkv {
namespace {

struct ScoredLine {
  Json id;
  std::string suite;
  std::string task;
  int64_t length = 0;  // of LongBench-E
  std::optional<double> score;
};

Result<ScoredLine> ScoreLine(std::string_view line, const ScoringOptions& scoring) {
  FASTKV_ASSIGN_OR_RETURN(const Json json, ParseJson(line));
  FASTKV_ASSIGN_OR_RETURN(const ScoreRequest request, ParseScoreRequest(json));
  if (!json.contains("id")) return FormatError("expected the field 'id', found none");
  ScoredLine scored{.id = json["id"], .suite = request.suite, .task = request.task};
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, "prediction"));
  FASTKV_ASSIGN_OR_RETURN(scored.length, fields.IntOr("length", 0, 0, INT64_MAX));
  FASTKV_ASSIGN_OR_RETURN(scored.score, ScorePrediction(request, scoring));
  return scored;
}

std::string JsonLine(const ScoredLine& scored) {
  Json line;
  line["id"] = scored.id;
  line["score"] = scored.score ? Json(*scored.score) : Json(nullptr);
  if (!scored.score) line["unsupported"] = "jieba";
  return DumpJson(line) + '\n';
}

// What belongs into one row: a task, or the samples of a LongBench-E set, whose lengths are told
// apart.
struct TaskScores {
  std::string suite;
  std::string task;
  std::vector<SizedScore> scores;
  int64_t num_unsupported = 0;

  bool is_longbench_e() const { return suite == "longbench" && task.ends_with("_e"); }
};

std::vector<TaskScores> ByTask(const std::vector<ScoredLine>& lines) {
  std::vector<TaskScores> tasks;
  for (const ScoredLine& line : lines) {
    auto task = std::find_if(tasks.begin(), tasks.end(), [&](const TaskScores& candidate) {
      return candidate.suite == line.suite && candidate.task == line.task;
    });
    if (task == tasks.end()) task = tasks.insert(task, {.suite = line.suite, .task = line.task});
    if (line.score) {
      // rouge1 alone goes up to 10.
      const double unit = line.task == "rouge1" ? 10 : 1;
      task->scores.push_back({.score = *line.score / unit, .length = line.length});
    } else {
      ++task->num_unsupported;
    }
  }
  return tasks;
}

std::string TableRow(const TaskScores& task) {
  std::string text;
  if (task.num_unsupported > 0) {
    text = "needs --jieba-dict";
  } else if (task.is_longbench_e()) {
    for (const std::optional<double>& bin : LongBenchEScores(task.scores)) {
      text += (text.empty() ? "" : " / ") + (bin ? fmt::format("{:.2f}", *bin) : "-");
    }
  } else {
    std::vector<double> scores;
    for (const SizedScore& sized : task.scores) scores.push_back(sized.score);
    text = fmt::format("{:.2f}", DatasetScore(scores));
  }
  return fmt::format("{:14} {:22} {:7}  {}\n", task.suite, task.task,
                     task.scores.size() + static_cast<size_t>(task.num_unsupported), text);
}

std::string Table(const std::vector<ScoredLine>& lines) {
  std::string table = fmt::format("{:14} {:22} {:>7}  score\n", "suite", "task", "samples");
  for (const TaskScores& task : ByTask(lines)) table += TableRow(task);
  return table;
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
  std::vector<ScoredLine> lines;
  int64_t line_number = 0;
  for (const std::string_view line : SplitAt(input, '\n')) {
    ++line_number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    Result<ScoredLine> scored = ScoreLine(line, scoring);
    if (!scored.ok()) {
      return scored.status().WithContext(options.input_file + " line " +
                                         std::to_string(line_number));
    }
    lines.push_back(std::move(scored).value());
  }
  if (!options.json) {
    out << Table(lines);
    return OkStatus();
  }
  for (const ScoredLine& line : lines) out << JsonLine(line);
  return OkStatus();
}

}  // namespace fastkv
