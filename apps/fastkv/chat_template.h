// `fastkv chat-template`: messages in the model's chat template, as text and token ids.
#ifndef FASTKV_APPS_CHAT_TEMPLATE_H_
#define FASTKV_APPS_CHAT_TEMPLATE_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "text/chat_template.h"

namespace fastkv {

struct ChatTemplateOptions {
  std::string model;
  std::string messages_file;
  std::string tools_file;  // empty: no tools
  bool no_generation_prompt = false;
  std::vector<std::string> variables;  // KEY=JSON
  std::string date;                    // YYYY-MM-DD; empty: now
  bool json = false;
};

void AddChatTemplateOptions(CLI::App& command, ChatTemplateOptions& options);

// Writes {"text", "ids"} with --json, else the text alone. Errors: those of reading the files, of
// the template and of the tokenizer; kInvalidArgument for a malformed variable or date.
Status RunChatTemplate(const ChatTemplateOptions& options, std::ostream& out);

// What a clock on this machine's wall shows.
LocalTime CurrentLocalTime();
// 00:00 of a day such as 2025-01-02. Errors: kInvalidArgument.
Result<LocalTime> ParseDate(const std::string& date);

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_TEMPLATE_H_
