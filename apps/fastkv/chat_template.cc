#include "fastkv/chat_template.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <utility>

#include "base/limits.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace fastkv {
namespace {

Result<Json> ReadArray(const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(Json json,
                          ReadJsonFile(RealFileSystem(), path, limits::kMaxPromptFileBytes));
  if (!json.is_array()) {
    return FormatError(path + ": expected a JSON array, got " + json.type_name());
  }
  return json;
}

Status SetVariable(const std::string& assignment, ChatTemplateInputs* inputs) {
  const size_t equals = assignment.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return InvalidArgumentError("--set: expected KEY=JSON, got '" + assignment + "'");
  }
  const std::string name = assignment.substr(0, equals);
  Result<Json> value = ParseJson(std::string_view(assignment).substr(equals + 1));
  if (!value.ok()) {
    return value.status().WithContext("--set " + name +
                                      ": expected JSON (a text needs quotes of its own)");
  }
  inputs->variables[name] = std::move(*value);
  return OkStatus();
}

}  // namespace

LocalTime CurrentLocalTime() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm local = {};
  localtime_r(&seconds, &local);
  const auto fraction = now - std::chrono::floor<std::chrono::seconds>(now);
  LocalTime time;
  time.year = local.tm_year + 1900;
  time.month = local.tm_mon + 1;
  time.day = local.tm_mday;
  time.hour = local.tm_hour;
  time.minute = local.tm_min;
  // A leap second is shown as the last ordinary one.
  time.second = local.tm_sec > 59 ? 59 : local.tm_sec;
  time.microsecond =
      static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(fraction).count());
  return time;
}

Result<LocalTime> ParseDate(const std::string& date) {
  LocalTime time;
  int end = 0;
  const bool read =
      date.size() == 10 &&
      std::sscanf(date.c_str(), "%4d-%2d-%2d%n", &time.year, &time.month, &time.day, &end) == 3 &&
      end == 10;
  const bool exists =
      read && time.month >= 1 && time.day >= 1 && time.year >= 1 &&
      std::chrono::year_month_day(std::chrono::year(time.year),
                                  std::chrono::month(static_cast<unsigned>(time.month)),
                                  std::chrono::day(static_cast<unsigned>(time.day)))
          .ok();
  if (!exists) {
    return InvalidArgumentError("--date: expected a day such as 2025-01-02, got '" + date + "'");
  }
  return time;
}

void AddChatTemplateOptions(CLI::App& command, ChatTemplateOptions& options) {
  command
      .add_option("-m,--model", options.model, "Model folder or GGUF file; weights are not needed")
      ->required();
  command.add_option("--messages", options.messages_file, "File with a JSON array of messages")
      ->required();
  command.add_option("--tools", options.tools_file, "File with a JSON array of tools");
  command.add_flag("--no-generation-prompt", options.no_generation_prompt,
                   "Do not end with the beginning of the answer");
  command
      .add_option("--set", options.variables,
                  "A variable for the template, as KEY=JSON; may be given more than once")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--date", options.date,
                     "The day the template sees, YYYY-MM-DD (default: now)");
  command.add_flag("--json", options.json, "Print one JSON object with text and ids");
}

Status RunChatTemplate(const ChatTemplateOptions& options, std::ostream& out) {
  ChatTemplateInputs inputs;
  FASTKV_ASSIGN_OR_RETURN(inputs.messages, ReadArray(options.messages_file));
  if (!options.tools_file.empty()) {
    FASTKV_ASSIGN_OR_RETURN(inputs.tools, ReadArray(options.tools_file));
  }
  inputs.add_generation_prompt = !options.no_generation_prompt;
  for (const std::string& assignment : options.variables) {
    FASTKV_RETURN_IF_ERROR(SetVariable(assignment, &inputs));
  }
  inputs.now = CurrentLocalTime();
  if (!options.date.empty()) {
    FASTKV_ASSIGN_OR_RETURN(inputs.now, ParseDate(options.date));
  }
  FASTKV_ASSIGN_OR_RETURN(const ChatTemplate chat_template,
                          ChatTemplate::Load(RealFileSystem(), options.model));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<TextSegment> segments, chat_template.Render(inputs));
  std::string text;
  for (const TextSegment& segment : segments) text += segment.text;
  if (!options.json) {
    out << text << '\n';
    return OkStatus();
  }
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                          Tokenizer::Load(RealFileSystem(), options.model));
  // The whole text's special tokens count here, as in Transformers: what is compared is the
  // template.
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer->Encode(text, {}));
  Json report;
  report["text"] = text;
  report["ids"] = ids;
  out << DumpJson(report) << '\n';
  return OkStatus();
}

}  // namespace fastkv
