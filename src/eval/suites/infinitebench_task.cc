#include "eval/suites/infinitebench_task.h"

#include <algorithm>
#include <array>
#include <utility>

#include "eval/suites/benchmark_file.h"
#include "io/content_hash.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr int64_t kChatMarginTokens = 256;

struct TaskSize {
  std::string_view name;
  int64_t max_new_tokens;  // DATA_NAME_TO_MAX_NEW_TOKENS in src/eval_utils.py
};

constexpr std::array<TaskSize, 12> kTasks = {{{"passkey", 6},
                                              {"number_string", 12},
                                              {"kv_retrieval", 50},
                                              {"longbook_sum_eng", 1200},
                                              {"longbook_qa_eng", 40},
                                              {"longbook_choice_eng", 40},
                                              {"longdialogue_qa_eng", 40},
                                              {"longbook_qa_chn", 40},
                                              {"code_debug", 5},
                                              {"code_run", 5},
                                              {"math_calc", 30000},
                                              {"math_find", 3}}};

constexpr std::array<std::string_view, 12> kNames = [] {
  std::array<std::string_view, 12> names{};
  for (size_t i = 0; i < names.size(); ++i) names[i] = kTasks[i].name;
  return names;
}();

class InfiniteBenchTask final : public BenchmarkTask {
 public:
  InfiniteBenchTask(std::string name, InfiniteBenchPrompts prompts, int64_t max_new_tokens,
                    bool use_chat, BenchmarkFile file)
      : name_(std::move(name)),
        prompts_(std::move(prompts)),
        max_new_tokens_(max_new_tokens),
        use_chat_(use_chat),
        file_(std::move(file)) {}

  Json Settings() const override {
    return {{"file_hash", file_.Hash()},
            {"prompt_hash", HashText(ContentHash(prompts_.task_template + prompts_.find_prefix))},
            {"max_new_tokens", max_new_tokens_}};
  }
  int64_t num_samples() const override { return file_.num_lines(); }
  int64_t max_new_tokens() const override { return max_new_tokens_; }

  Result<BenchmarkSample> Sample(int64_t index) const override {
    FASTKV_ASSIGN_OR_RETURN(const Json record, file_.Line(index));
    const std::string where = file_.path() + " line " + std::to_string(file_.LineNumber(index));
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(record, where));
    FASTKV_ASSIGN_OR_RETURN(const FormatFields prompt_fields,
                            InfiniteBenchFields(fields, name_, prompts_));
    BenchmarkSample sample;
    sample.line_number = file_.LineNumber(index);
    FASTKV_ASSIGN_OR_RETURN(sample.prompt, FormatTemplate(prompts_.task_template, prompt_fields));
    FASTKV_ASSIGN_OR_RETURN(sample.question_bytes,
                            BytesBehindField(prompts_.task_template, "context", prompt_fields));
    sample.use_chat = use_chat_;
    sample.max_new_tokens = max_new_tokens_;
    sample.question = prompt_fields.find("input")->second;
    sample.score.suite = "infinitebench";
    sample.score.task = name_;
    sample.score.profile = ProfileName(BenchmarkProfile::kOfficial);
    const Json* answer = fields.Find("answer");
    if (answer == nullptr) return FormatError(where + ": expected the field 'answer', found none");
    sample.score.answers = *answer;
    if (fields.Has("options")) {
      FASTKV_ASSIGN_OR_RETURN(sample.score.options, StringList(fields, "options"));
    }
    return sample;
  }

 private:
  std::string name_;
  InfiniteBenchPrompts prompts_;
  int64_t max_new_tokens_;
  bool use_chat_;
  BenchmarkFile file_;
};

}  // namespace

std::span<const std::string_view> InfiniteBenchTasks() { return kNames; }

Result<std::unique_ptr<BenchmarkTask>> OpenInfiniteBenchTask(FileSystem& files,
                                                             const std::string& folder,
                                                             const std::string& task,
                                                             InfiniteBenchStyle style) {
  const auto* size = std::find_if(kTasks.begin(), kTasks.end(),
                                  [&](const TaskSize& entry) { return entry.name == task; });
  if (size == kTasks.end()) {
    return InvalidArgumentError("InfiniteBench has no task " + Quoted(task));
  }
  FASTKV_ASSIGN_OR_RETURN(InfiniteBenchPrompts prompts,
                          ReadInfiniteBenchPrompts(files, folder, task, style));
  std::string path = JoinPath(folder, task + ".jsonl");
  FASTKV_ASSIGN_OR_RETURN(const bool beside, files.Exists(path));
  if (!beside) path = JoinPath(folder, "data/" + task + ".jsonl");
  FASTKV_ASSIGN_OR_RETURN(BenchmarkFile file, BenchmarkFile::Open(files, path));
  const bool use_chat = style == InfiniteBenchStyle::kChat;
  const int64_t max_new_tokens =
      use_chat ? std::max(size->max_new_tokens, kMinInfiniteBenchChatTokens) : size->max_new_tokens;
  return std::unique_ptr<BenchmarkTask>(std::make_unique<InfiniteBenchTask>(
      task, std::move(prompts), max_new_tokens, use_chat, std::move(file)));
}

int64_t InfiniteBenchPromptLimit(int64_t window_tokens, int64_t max_new_tokens,
                                 InfiniteBenchStyle style) {
  const int64_t margin = style == InfiniteBenchStyle::kChat ? kChatMarginTokens : 0;
  return window_tokens - max_new_tokens - margin;
}

}  // namespace fastkv
