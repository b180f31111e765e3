// InfiniteBench as a suite, profile "official": with a chat template the prompts for models that
// chat (gpt4_templates), without one those for models that continue a text
// (yarn_mistral_templates). The original cuts prompts at fixed lengths; here the model's window
// decides, and the settings say where.
#include <utility>

#include "eval/suite_list.h"
#include "eval/suites/benchmark_suite.h"
#include "eval/suites/infinitebench_task.h"

namespace fastkv {

Result<std::unique_ptr<Suite>> CreateInfiniteBenchSuite(const SuiteOptions& options) {
  FASTKV_RETURN_IF_ERROR(CheckHasData(options, "InfiniteBench"));
  FASTKV_RETURN_IF_ERROR(CheckHasNoLengths(options, "InfiniteBench"));
  FASTKV_RETURN_IF_ERROR(CheckTaskNames(options.tasks, InfiniteBenchTasks()));
  BenchmarkSuiteParams params;
  FASTKV_ASSIGN_OR_RETURN(params.profile, ProfileOf(options));
  if (params.profile != BenchmarkProfile::kOfficial) {
    return InvalidArgumentError("--rules: FastKV's scripts have no InfiniteBench; take official");
  }
  params.profile_name = ProfileName(params.profile);
  const InfiniteBenchStyle style = options.chat_template == nullptr
                                       ? InfiniteBenchStyle::kCompletion
                                       : InfiniteBenchStyle::kChat;
  std::vector<std::string> tasks = options.tasks;
  if (tasks.empty()) tasks.assign(InfiniteBenchTasks().begin(), InfiniteBenchTasks().end());
  for (const std::string& name : tasks) {
    FASTKV_ASSIGN_OR_RETURN(
        std::unique_ptr<BenchmarkTask> task,
        OpenInfiniteBenchTask(*options.files, options.data_folder, name, style));
    const int64_t limit =
        InfiniteBenchPromptLimit(options.window_tokens, task->max_new_tokens(), style);
    params.tasks.push_back({.name = name, .max_prompt_tokens = limit, .samples = std::move(task)});
  }
  return MakeBenchmarkSuite(options, std::move(params));
}

}  // namespace fastkv
