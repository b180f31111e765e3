#include "eval/suites/infinitebench_prompts.h"

#include <optional>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "eval/scorers/python_literal.h"
#include "eval/suites/benchmark_file.h"
#include "io/quoted.h"
#include "text/unicode_case.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

std::string_view DictionaryName(InfiniteBenchStyle style) {
  return style == InfiniteBenchStyle::kChat ? "gpt4_templates" : "yarn_mistral_templates";
}

// The path of `name` in `folder` or its src/, if it is there.
Result<std::optional<std::string>> Find(FileSystem& files, const std::string& folder,
                                        const std::string& name) {
  for (const std::string& candidate : {JoinPath(folder, name), JoinPath(folder, "src/" + name)}) {
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(candidate));
    if (exists) return std::optional(candidate);
  }
  return std::optional<std::string>();
}

Result<std::string> ReadSource(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(std::string source, files.ReadFile(path, limits::kMaxConfigBytes));
  if (FindInvalidUtf8(source)) return FormatError(path + ": expected UTF-8");
  return source;
}

Result<InfiniteBenchPrompts> ReadJson(FileSystem& files, const std::string& path,
                                      const std::string& task, InfiniteBenchStyle style) {
  FASTKV_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(files, path, limits::kMaxConfigBytes));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, path));
  const Json* templates = fields.Find(DictionaryName(style));
  if (templates == nullptr) {
    return FormatError(path + ": expected the field " + std::string(DictionaryName(style)));
  }
  FASTKV_ASSIGN_OR_RETURN(const JsonFields by_task, JsonFields::Of(*templates, path));
  InfiniteBenchPrompts prompts;
  FASTKV_ASSIGN_OR_RETURN(prompts.task_template, by_task.String(task));
  if (task == "math_find") {
    FASTKV_ASSIGN_OR_RETURN(prompts.find_prefix, fields.String("math_find_prefix"));
  }
  return prompts;
}

// The template behind `prefix = f"..."`: an f-string without conversions is a format string.
Result<std::string> ReadFindPrefix(FileSystem& files, const std::string& folder) {
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> path,
                          Find(files, folder, "eval_utils.py"));
  if (!path) return NotFoundError("expected eval_utils.py in " + folder + " or its src/");
  FASTKV_ASSIGN_OR_RETURN(const std::string source, ReadSource(files, *path));
  constexpr std::string_view kBegin = "prefix = f";
  const size_t at = source.find(kBegin);
  size_t position = at == source.npos ? at : at + kBegin.size();
  if (position == source.npos || position >= source.size() ||
      (source[position] != '"' && source[position] != '\'')) {
    return FormatError(*path + ": expected the line 'prefix = f\"...\"' of create_prompt");
  }
  Result<PythonValue> prefix = ParsePythonLiteral(source, position);
  if (!prefix.ok()) return prefix.status().WithContext(*path);
  return std::move(prefix->text);
}

// The first "func_<digits>(<optional minus><digits>)" of a text.
struct FunctionCall {
  std::string function;
  std::string call;
};
std::optional<FunctionCall> FindCall(std::string_view text) {
  constexpr std::string_view kName = "func_";
  constexpr std::string_view kDigits = "0123456789";
  for (size_t begin = text.find(kName); begin != text.npos; begin = text.find(kName, begin + 1)) {
    const size_t number = begin + kName.size();
    const size_t open = text.find_first_not_of(kDigits, number);
    if (open == text.npos || open == number || text[open] != '(') continue;
    const size_t argument = open + (text.substr(open + 1).starts_with('-') ? 2 : 1);
    const size_t close = text.find_first_not_of(kDigits, argument);
    if (close == text.npos || close == argument || text[close] != ')') continue;
    return FunctionCall{std::string(text.substr(begin, open - begin)),
                        std::string(text.substr(begin, close + 1 - begin))};
  }
  return std::nullopt;
}

// What math_find asks for: the first and longest "The ... of" on a line, without " of".
std::optional<std::string> FindTarget(std::string_view text) {
  size_t begin = text.find("The ");
  while (begin != text.npos) {
    const std::string_view line = text.substr(begin, text.find('\n', begin) - begin);
    const size_t end = line.rfind(" of");
    if (end != line.npos && end > 4) return FullLowerCase(line.substr(0, end));
    begin = text.find("The ", begin + 1);
  }
  return std::nullopt;
}

}  // namespace

Result<InfiniteBenchPrompts> ReadInfiniteBenchPrompts(FileSystem& files, const std::string& folder,
                                                      const std::string& task,
                                                      InfiniteBenchStyle style) {
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> json,
                          Find(files, folder, "prompts.json"));
  if (json) return ReadJson(files, *json, task, style);
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> path, Find(files, folder, "prompt.py"));
  if (!path) {
    return NotFoundError("expected prompt.py or prompts.json in " + folder +
                         " or its src/; get the benchmark's repository");
  }
  FASTKV_ASSIGN_OR_RETURN(const std::string source, ReadSource(files, *path));
  const Result<PythonValue> templates = ParsePythonAssignment(source, DictionaryName(style));
  if (!templates.ok()) return templates.status().WithContext(*path);
  const PythonValue* task_template =
      templates->kind == PythonValue::Kind::kDict ? templates->Find(task) : nullptr;
  if (task_template == nullptr || task_template->kind != PythonValue::Kind::kString) {
    return FormatError(*path + ": " + std::string(DictionaryName(style)) + " has no text for " +
                       Quoted(task));
  }
  InfiniteBenchPrompts prompts;
  prompts.task_template = task_template->text;
  if (task == "math_find") {
    FASTKV_ASSIGN_OR_RETURN(prompts.find_prefix, ReadFindPrefix(files, folder));
  }
  return prompts;
}

Result<FormatFields> InfiniteBenchFields(const JsonFields& record, const std::string& task,
                                         const InfiniteBenchPrompts& prompts) {
  FormatFields fields;
  FASTKV_ASSIGN_OR_RETURN(const std::string input, record.StringOr("input", ""));
  const char* context = record.Has("content") ? "content" : "context";
  FASTKV_ASSIGN_OR_RETURN(fields["context"], record.String(context));
  fields["input"] = input;
  fields["question"] = input;
  if (task == "longbook_choice_eng" || task == "code_debug") {
    FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> options, StringList(record, "options"));
    if (options.size() < 4) {
      return FormatError(record.context() + ": expected four options, got " +
                         std::to_string(options.size()));
    }
    constexpr const char* kNames[] = {"OPTION_A", "OPTION_B", "OPTION_C", "OPTION_D"};
    for (size_t i = 0; i < 4; ++i) fields[kNames[i]] = options[i];
  }
  if (task == "code_run") {
    const std::optional<FunctionCall> call = FindCall(input);
    if (!call) {
      return FormatError(record.context() + ": expected a call like func_1(2) in the input, got " +
                         Quoted(input));
    }
    fields["func"] = call->function;
    fields["func_call"] = call->call;
  }
  if (task == "math_find") {
    const std::optional<std::string> target = FindTarget(input);
    if (!target) {
      return FormatError(record.context() + ": expected 'The ... of' in the input, got " +
                         Quoted(input));
    }
    FASTKV_ASSIGN_OR_RETURN(fields["prefix"],
                            FormatTemplate(prompts.find_prefix, {{"target_number", *target}}));
  }
  return fields;
}

}  // namespace fastkv
