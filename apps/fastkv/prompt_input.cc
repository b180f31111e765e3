#include "fastkv/prompt_input.h"

#include <iterator>

#include "base/limits.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

Result<std::string> ReadStream(std::istream& in) {
  std::string text;
  char chunk[1 << 16];
  while (in.read(chunk, sizeof(chunk)), in.gcount() > 0) {
    text.append(chunk, static_cast<size_t>(in.gcount()));
    if (text.size() > limits::kMaxPromptFileBytes) {
      return LimitError("the prompt on standard input is longer than " +
                        std::to_string(limits::kMaxPromptFileBytes) + " bytes");
    }
  }
  return text;
}

}  // namespace

Result<std::string> ReadPrompt(FileSystem& files, const std::optional<std::string>& text,
                               const std::vector<std::string>& prompt_files, std::istream& in) {
  std::string prompt;
  bool first = true;
  const auto append = [&](const std::string& part) {
    if (!first) prompt += '\n';
    prompt += part;
    first = false;
  };
  if (text.has_value() && *text != "-") append(*text);
  for (const std::string& path : prompt_files) {
    if (path == "-") {
      FASTKV_ASSIGN_OR_RETURN(const std::string part, ReadStream(in));
      append(part);
    } else {
      FASTKV_ASSIGN_OR_RETURN(const std::string part,
                              files.ReadFile(path, limits::kMaxPromptFileBytes));
      append(part);
    }
  }
  if ((!text.has_value() && prompt_files.empty()) || text == "-") {
    FASTKV_ASSIGN_OR_RETURN(const std::string part, ReadStream(in));
    append(part);
  }
  if (prompt.empty()) {
    return InvalidArgumentError(
        "the prompt is empty; give text with -p, a file with -f, or text on standard input");
  }
  const std::optional<size_t> bad = FindInvalidUtf8(prompt);
  if (bad.has_value()) {
    return InvalidArgumentError("the prompt is not valid UTF-8 at byte " + std::to_string(*bad) +
                                "; convert it to UTF-8");
  }
  return prompt;
}

}  // namespace fastkv
