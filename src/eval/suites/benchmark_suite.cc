#include "eval/suites/benchmark_suite.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "eval/suite_list.h"

namespace fastkv {
namespace {

constexpr size_t kExcerptMarginBytes = 120;

// What a scorer needs of a sample, as ParseScoreRequest reads it.
Json ExpectedOf(const ScoreRequest& score) {
  Json expected;
  expected["suite"] = score.suite;
  expected["task"] = score.task;
  expected["profile"] = score.profile;
  expected["answers"] = score.answers;
  if (!score.all_classes.empty()) expected["all_classes"] = score.all_classes;
  if (!score.options.empty()) expected["options"] = score.options;
  return expected;
}

// The prompt around the first place of each answer, and its end.
std::string ExcerptOf(const BenchmarkSample& sample) {
  std::vector<std::pair<size_t, size_t>> spans;
  for (const Json& answer : sample.score.answers) {
    if (!answer.is_string()) continue;
    const auto& text = answer.get_ref<const std::string&>();
    const size_t at = text.empty() ? text.npos : sample.prompt.find(text);
    if (at != text.npos) spans.emplace_back(at, at + text.size());
  }
  spans.emplace_back(sample.prompt.size(), sample.prompt.size());
  return ExcerptAround(sample.prompt, std::move(spans), kExcerptMarginBytes);
}

class BenchmarkSuite final : public Suite {
 public:
  BenchmarkSuite(const SuiteOptions& options, BenchmarkSuiteParams params)
      : format_{.tokenizer = options.tokenizer, .chat = options.chat_template},
        has_segmenter_(options.segmenter != nullptr),
        share_context_(options.share_context),
        params_(std::move(params)) {}

  // Which samples there are.
  Status FindSamples(int64_t num_samples) {
    for (const BenchmarkSuiteTask& task : params_.tasks) {
      Json settings = task.samples->Settings();
      FASTKV_ASSIGN_OR_RETURN(const int64_t num_skipped, FindSamplesOf(task, num_samples));
      settings["task"] = task.name;
      if (task.length_tokens > 0) settings["length"] = task.length_tokens;
      settings["max_prompt_tokens"] = task.max_prompt_tokens;
      settings["skipped_lines"] = num_skipped;
      task_settings_.push_back(std::move(settings));
    }
    return OkStatus();
  }

  std::string_view profile() const override { return params_.profile_name; }

  Json Settings() const override {
    Json settings;
    settings["tasks"] = task_settings_;
    settings["samples"] = keys_.size();
    settings["chat_template"] = format_.chat != nullptr;
    settings["chinese_words"] = has_segmenter_;
    if (share_context_) settings["share_context"] = true;
    if (!params_.tasks_left_out.empty()) settings["left_out"] = params_.tasks_left_out;
    return settings;
  }

  std::span<const SampleKey> keys() const override { return keys_; }

  Result<EvalSample> Make(const SampleKey& key) const override {
    const auto task =
        std::find_if(params_.tasks.begin(), params_.tasks.end(), [&](const auto& candidate) {
          return candidate.name == key.task && candidate.length_tokens == key.length;
        });
    FASTKV_CHECK(task != params_.tasks.end());
    FASTKV_ASSIGN_OR_RETURN(const BenchmarkSample made, task->samples->Sample(key.index));
    FASTKV_ASSIGN_OR_RETURN(
        BenchmarkPrompt prompt,
        MakeBenchmarkPrompt(made, params_.profile, task->max_prompt_tokens, format_));
    EvalSample sample;
    if (share_context_) {
      FASTKV_ASSIGN_OR_RETURN(sample.context_tokens,
                              ContextTokensOf(prompt, made, params_.profile, format_));
    }
    sample.ids = std::move(prompt.ids);
    sample.untruncated_tokens = prompt.is_cut ? prompt.full_tokens : 0;
    sample.max_new_tokens = made.max_new_tokens;
    sample.needs_a_token = made.needs_a_token;
    if (made.stop_at_newline) sample.stops = {"\n"};
    const std::optional<int32_t> end_id = format_.tokenizer->eos_id();
    if (params_.profile == BenchmarkProfile::kFastkv && end_id) sample.end_ids = {*end_id};
    sample.expected = ExpectedOf(made.score);
    sample.question = made.question;
    sample.excerpt = ExcerptOf(made);
    return sample;
  }

 private:
  // Returns how many lines were left out.
  Result<int64_t> FindSamplesOf(const BenchmarkSuiteTask& task, int64_t num_samples) {
    const int64_t num_available = task.samples->num_samples();
    const int64_t wanted = num_samples == 0 ? num_available : num_samples;
    int64_t num_found = 0;
    int64_t num_skipped = 0;
    Status first_wrong = FormatError(task.name + ": expected samples, found none");
    for (int64_t i = 0; i < num_available && num_found < wanted; ++i) {
      const Status status = task.samples->Check(i);
      if (status.code() == StatusCode::kFormat) {
        if (num_skipped++ == 0) first_wrong = status;
        continue;
      }
      FASTKV_RETURN_IF_ERROR(status);
      keys_.push_back(
          {.task = task.name, .length = task.length_tokens, .depth = std::nullopt, .index = i});
      ++num_found;
    }
    if (num_found == 0) return first_wrong;
    return num_skipped;
  }

  PromptFormat format_;
  bool has_segmenter_;
  bool share_context_;
  BenchmarkSuiteParams params_;
  std::vector<Json> task_settings_;
  std::vector<SampleKey> keys_;
};

}  // namespace

Result<std::unique_ptr<Suite>> MakeBenchmarkSuite(const SuiteOptions& options,
                                                  BenchmarkSuiteParams params) {
  for (const BenchmarkSuiteTask& task : params.tasks) {
    if (task.max_prompt_tokens >= 2) continue;
    return InvalidArgumentError("the model's window of " + std::to_string(options.window_tokens) +
                                " tokens leaves no room for prompts of " + task.name);
  }
  auto suite = std::make_unique<BenchmarkSuite>(options, std::move(params));
  FASTKV_RETURN_IF_ERROR(suite->FindSamples(options.num_samples));
  return std::unique_ptr<Suite>(std::move(suite));
}

Result<double> ScoreBenchmark(const OutputToScore& answer) {
  Json json = answer.expected;
  if (!json.is_object())
    return FormatError("expected an object with the answers, got " + std::string(json.type_name()));
  json["prediction"] = answer.output;
  FASTKV_ASSIGN_OR_RETURN(const ScoreRequest request, ParseScoreRequest(json));
  FASTKV_ASSIGN_OR_RETURN(const std::optional<double> score,
                          ScorePrediction(request, {.segmenter = answer.segmenter}));
  if (!score) {
    return UnsupportedError("scores of " + request.task +
                            " need Chinese words; give the folder of jieba with --jieba-dict");
  }
  return *score;
}

Result<BenchmarkProfile> ProfileOf(const SuiteOptions& options) {
  return options.profile.empty() ? BenchmarkProfile::kOfficial : ParseProfile(options.profile);
}

Status CheckHasData(const SuiteOptions& options, std::string_view benchmark) {
  if (!options.data_folder.empty()) return OkStatus();
  return InvalidArgumentError("expected your copy of " + std::string(benchmark) +
                              " with --data; docs/evaluation.md says what it holds");
}

Status CheckHasNoLengths(const SuiteOptions& options, std::string_view benchmark) {
  if (options.lengths.empty() && options.depths.empty()) return OkStatus();
  return InvalidArgumentError("--length, --depths: the data of " + std::string(benchmark) +
                              " decide how long its prompts are; leave these out");
}

}  // namespace fastkv
