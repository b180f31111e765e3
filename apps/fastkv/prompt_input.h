// Where a prompt comes from: the command line, files, or standard input.
#ifndef FASTKV_APPS_PROMPT_INPUT_H_
#define FASTKV_APPS_PROMPT_INPUT_H_

#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/file.h"

namespace fastkv {

// The text given with -p, then the files in order, joined by newlines; standard input for "-" and
// where nothing is given. Errors: those of reading; kLimit above limits::kMaxPromptFileBytes;
// kInvalidArgument when the whole is empty or not valid UTF-8 (with the offset of the first bad
// byte).
Result<std::string> ReadPrompt(FileSystem& files, const std::optional<std::string>& text,
                               const std::vector<std::string>& prompt_files, std::istream& in);

}  // namespace fastkv

#endif  // FASTKV_APPS_PROMPT_INPUT_H_
