#include "fastkv/calibration_prompts.h"

#include <algorithm>
#include <string_view>

#include "base/limits.h"
#include "eval/needle_tasks.h"
#include "io/json.h"

namespace fastkv {
namespace {

// The tasks that the needle model was trained to answer, the plain ones more often.
constexpr std::string_view kTasks[] = {"number", "values", "word", "many"};

Status AddPrompt(const std::string& text, const std::string& context, const Tokenizer& tokenizer,
                 int64_t continuation_tokens, std::vector<CalibrationPrompt>& prompts) {
  Result<std::vector<int32_t>> ids = tokenizer.Encode(text, {.add_special_tokens = true});
  if (!ids.ok()) return ids.status().WithContext(context);
  if (std::ssize(*ids) <= continuation_tokens) {
    return InvalidArgumentError(context + ": expected a prompt of more than " +
                                std::to_string(continuation_tokens) +
                                " tokens (the continuation's), got " + std::to_string(ids->size()));
  }
  const auto split = ids->end() - continuation_tokens;
  prompts.push_back({.ids = {ids->begin(), split}, .continuation = {split, ids->end()}});
  return OkStatus();
}

Status AddLines(const std::string& text, const std::string& path, const Tokenizer& tokenizer,
                int64_t continuation_tokens, std::vector<CalibrationPrompt>& prompts) {
  int64_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const std::string context = path + " line " + std::to_string(line_number);
    Result<Json> json = ParseJson(line);
    if (!json.ok()) return json.status().WithContext(context);
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(*json, context));
    FASTKV_ASSIGN_OR_RETURN(const std::string prompt, fields.String("prompt"));
    FASTKV_RETURN_IF_ERROR(AddPrompt(prompt, context, tokenizer, continuation_tokens, prompts));
  }
  return OkStatus();
}

}  // namespace

Result<std::vector<CalibrationPrompt>> BuiltInCalibrationPrompts(
    const Tokenizer& tokenizer, const BuiltInPromptOptions& options) {
  // Counting cannot fail on ASCII; a failure would give a length that no prompt can hit.
  const TokenCounter count_tokens = [&](std::string_view text) {
    const Result<std::vector<int32_t>> ids = tokenizer.Encode(text, {});
    return ids.ok() ? std::ssize(*ids) : std::ptrdiff_t{INT32_MAX};
  };
  std::vector<CalibrationPrompt> prompts;
  for (int64_t i = 0; i < options.num_prompts; ++i) {
    const std::string_view task = kTasks[static_cast<size_t>(i) % std::size(kTasks)];
    FASTKV_ASSIGN_OR_RETURN(
        const NeedleSample sample,
        MakeNeedleSample(task, options.prompt_tokens, options.seed + static_cast<uint64_t>(i),
                         count_tokens));
    CalibrationPrompt prompt;
    FASTKV_ASSIGN_OR_RETURN(prompt.ids, tokenizer.Encode(sample.prompt, {}));
    FASTKV_ASSIGN_OR_RETURN(prompt.continuation, tokenizer.Encode(sample.answer, {}));
    prompt.continuation.resize(
        std::min(prompt.continuation.size(), static_cast<size_t>(options.continuation_tokens)));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

Result<std::vector<CalibrationPrompt>> ReadCalibrationPrompts(FileSystem& files,
                                                              const std::vector<std::string>& paths,
                                                              const Tokenizer& tokenizer,
                                                              int64_t continuation_tokens) {
  std::vector<CalibrationPrompt> prompts;
  for (const std::string& path : paths) {
    FASTKV_ASSIGN_OR_RETURN(const std::string text,
                            files.ReadFile(path, limits::kMaxPromptFileBytes));
    FASTKV_RETURN_IF_ERROR(path.ends_with(".jsonl")
                               ? AddLines(text, path, tokenizer, continuation_tokens, prompts)
                               : AddPrompt(text, path, tokenizer, continuation_tokens, prompts));
  }
  return prompts;
}

}  // namespace fastkv
