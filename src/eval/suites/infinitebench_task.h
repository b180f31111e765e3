// InfiniteBench (arXiv 2402.13718) from the user's copy of its repository and data.
#ifndef FASTKV_EVAL_SUITES_INFINITEBENCH_TASK_H_
#define FASTKV_EVAL_SUITES_INFINITEBENCH_TASK_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "eval/suites/benchmark_task.h"
#include "eval/suites/infinitebench_prompts.h"
#include "io/file.h"

namespace fastkv {

// The 12 tasks, in the order of the paper's table.
std::span<const std::string_view> InfiniteBenchTasks();

// `folder` holds what ReadInfiniteBenchPrompts wants, and <task>.jsonl, itself or in data/. Answers
// of models that continue a text have the reference's number of tokens; those of models that chat
// have at least kMinChatTokens, since a chat answer seldom begins with the label.
// Errors: those of FileSystem and of the prompts; kInvalidArgument for an unknown task.
inline constexpr int64_t kMinInfiniteBenchChatTokens = 128;
Result<std::unique_ptr<BenchmarkTask>> OpenInfiniteBenchTask(FileSystem& files,
                                                             const std::string& folder,
                                                             const std::string& task,
                                                             InfiniteBenchStyle style);

// How many prompt tokens a model has room for: its window less the answer, and with a chat template
// less kChatMarginTokens for the markup.
int64_t InfiniteBenchPromptLimit(int64_t window_tokens, int64_t max_new_tokens,
                                 InfiniteBenchStyle style);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_INFINITEBENCH_TASK_H_
