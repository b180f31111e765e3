// LongBench as a suite. Profile "official": answers end at any of the model's end tokens, and
// prompts are cut before they are wrapped; "fastkv": as FastKV's scripts do (benchmark_prompt.h).
#include <algorithm>
#include <utility>

#include "eval/scorers/longbench_scores.h"
#include "eval/suite_list.h"
#include "eval/suites/benchmark_suite.h"
#include "eval/suites/longbench_task.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

// The benchmark's own limits leave about that much of a model's window (config/model2maxlen.json).
constexpr int64_t kMarginTokens = 500;
// For the markup that comes after the cut.
constexpr int64_t kChatMarginTokens = 64;

int64_t PromptLimit(const SuiteOptions& options, BenchmarkProfile profile, int64_t max_new_tokens) {
  const int64_t room = options.window_tokens - max_new_tokens;
  if (profile == BenchmarkProfile::kFastkv) {
    if (const auto published = FastkvPromptLimit(options.model_path)) {
      return std::min(*published, room);
    }
  }
  const int64_t markup = options.chat_template == nullptr ? 0 : kChatMarginTokens;
  return std::min(options.window_tokens - kMarginTokens, room - markup);
}

// Which data sets to run: those asked for, or all that can be scored.
Result<std::vector<std::string>> ChooseDatasets(const SuiteOptions& options,
                                                std::vector<std::string>& left_out) {
  std::vector<std::string> chosen;
  for (const std::string& name : options.tasks) {
    const auto metric = LongBenchMetricOf(name);
    if (!metric) return InvalidArgumentError("LongBench has no data set " + Quoted(name));
    if (NeedsSegmenter(*metric) && options.segmenter == nullptr) {
      return InvalidArgumentError(
          "scores of " + name + " need Chinese words; give the folder of jieba with --jieba-dict");
    }
    chosen.push_back(name);
  }
  if (!chosen.empty()) return chosen;
  for (const std::string_view name : LongBenchDatasets()) {
    const bool can_score =
        !NeedsSegmenter(*LongBenchMetricOf(name)) || options.segmenter != nullptr;
    (can_score ? chosen : left_out).emplace_back(name);
  }
  return chosen;
}

}  // namespace

Result<std::unique_ptr<Suite>> CreateLongBenchSuite(const SuiteOptions& options) {
  FASTKV_RETURN_IF_ERROR(CheckHasData(options, "LongBench"));
  FASTKV_RETURN_IF_ERROR(CheckHasNoLengths(options, "LongBench"));
  BenchmarkSuiteParams params;
  FASTKV_ASSIGN_OR_RETURN(params.profile, ProfileOf(options));
  params.profile_name = ProfileName(params.profile);
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> datasets,
                          ChooseDatasets(options, params.tasks_left_out));
  for (const std::string& name : datasets) {
    FASTKV_ASSIGN_OR_RETURN(
        std::unique_ptr<BenchmarkTask> task,
        OpenLongBenchTask(*options.files, options.data_folder, name, params.profile));
    const int64_t limit = PromptLimit(options, params.profile, task->max_new_tokens());
    params.tasks.push_back({.name = name, .max_prompt_tokens = limit, .samples = std::move(task)});
  }
  return MakeBenchmarkSuite(options, std::move(params));
}

}  // namespace fastkv
