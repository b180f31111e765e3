// RULER as a suite. With a data folder the samples are those of the official generator, profile
// "official" or "fastkv". Without one they are generated here; since their words are ours, the
// profile is "native", or "native-fastkv" where prompts and lengths of answers follow FastKV's
// scripts.
#include <algorithm>
#include <charconv>
#include <utility>

#include "eval/prompt_encoder.h"
#include "eval/scorers/ruler_tasks.h"
#include "eval/suite_list.h"
#include "eval/suites/benchmark_suite.h"
#include "eval/suites/ruler_files.h"

namespace fastkv {
namespace {

constexpr int64_t kDefaultLength = 4096;
constexpr int64_t kDefaultSamples = 16;

std::string NativeName(BenchmarkProfile profile) {
  return profile == BenchmarkProfile::kOfficial ? "native" : "native-fastkv";
}

// The folders of the data that are named by a length; 0 stands for data without such folders.
Result<std::vector<int64_t>> LengthsIn(FileSystem& files, const std::string& folder) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.ListDirectory(folder));
  std::vector<int64_t> lengths;
  for (const std::string& name : names) {
    int64_t length = 0;
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data(), end, length);
    if (error == std::errc() && rest == end && length > 0) lengths.push_back(length);
  }
  if (lengths.empty()) lengths.push_back(0);
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

// What the chat template adds to a prompt, so that a generated sample fits its length with it.
Result<int64_t> TemplateTokens(const SuiteOptions& options) {
  if (options.chat_template == nullptr) return int64_t{0};
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, EncodeUserMessage(options, "."));
  return static_cast<int64_t>(ids.size());
}

class TaskOpener {
 public:
  TaskOpener(const SuiteOptions& options, BenchmarkProfile profile, int64_t template_tokens)
      : options_(options), profile_(profile), template_tokens_(template_tokens) {}

  Result<BenchmarkSuiteTask> Open(const std::string& name, int64_t length_tokens) const {
    Result<std::unique_ptr<BenchmarkTask>> task =
        options_.data_folder.empty()
            ? MakeRulerTask({.task = name,
                             .length_tokens = length_tokens - template_tokens_,
                             .seed = options_.seed,
                             .count_tokens = NeedleTokenCounter(*options_.tokenizer)},
                            options_.num_samples == 0 ? kDefaultSamples : options_.num_samples,
                            profile_)
            : OpenRulerFile(*options_.files, options_.data_folder, name, length_tokens, profile_);
    if (!task.ok()) return task.status();
    return BenchmarkSuiteTask{
        .name = name,
        .length_tokens = length_tokens,
        .max_prompt_tokens = options_.window_tokens - (*task)->max_new_tokens() - template_tokens_,
        .samples = std::move(task).value()};
  }

 private:
  const SuiteOptions& options_;
  BenchmarkProfile profile_;
  int64_t template_tokens_;
};

}  // namespace

Result<std::unique_ptr<Suite>> CreateRulerSuite(const SuiteOptions& options) {
  if (!options.depths.empty()) {
    return InvalidArgumentError("--depths: RULER's tasks decide their depths; leave this out");
  }
  FASTKV_RETURN_IF_ERROR(CheckTaskNames(options.tasks, RulerTaskNames()));
  BenchmarkSuiteParams params;
  FASTKV_ASSIGN_OR_RETURN(params.profile, ProfileOf(options));
  const bool is_native = options.data_folder.empty();
  params.profile_name = is_native ? NativeName(params.profile) : ProfileName(params.profile);
  std::vector<std::string> tasks = options.tasks;
  if (tasks.empty()) {
    for (const std::string_view name : RulerTaskNames()) {
      const bool is_left_out =
          params.profile == BenchmarkProfile::kFastkv && name.starts_with("qa_");
      if (!is_left_out) tasks.emplace_back(name);
    }
  }
  std::vector<int64_t> lengths = options.lengths;
  if (lengths.empty() && is_native) lengths = {kDefaultLength};
  if (lengths.empty()) {
    FASTKV_ASSIGN_OR_RETURN(lengths, LengthsIn(*options.files, options.data_folder));
  }
  FASTKV_ASSIGN_OR_RETURN(const int64_t template_tokens, TemplateTokens(options));
  const TaskOpener opener(options, params.profile, template_tokens);
  for (const int64_t length : lengths) {
    for (const std::string& name : tasks) {
      FASTKV_ASSIGN_OR_RETURN(BenchmarkSuiteTask task, opener.Open(name, length));
      params.tasks.push_back(std::move(task));
    }
  }
  return MakeBenchmarkSuite(options, std::move(params));
}

}  // namespace fastkv
