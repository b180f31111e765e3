// The prompts that a calibration runs over: files of the user, or built-in needle tasks.
#ifndef FASTKV_APPS_CALIBRATION_PROMPTS_H_
#define FASTKV_APPS_CALIBRATION_PROMPTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/calibration.h"
#include "io/file.h"
#include "text/tokenizer.h"

namespace fastkv {

struct BuiltInPromptOptions {
  int64_t num_prompts = 0;
  int64_t prompt_tokens = 0;        // at most, and at least 98 % of it
  int64_t continuation_tokens = 0;  // of the expected answer, at most
  uint64_t seed = 0;
};

// Needle tasks in turn, each followed by the beginning of its expected answer. Errors: those of
// MakeNeedleSample and of encoding.
Result<std::vector<CalibrationPrompt>> BuiltInCalibrationPrompts(
    const Tokenizer& tokenizer, const BuiltInPromptOptions& options);

// One prompt for each text file, one for each line of a file whose name ends in ".jsonl": an object
// with the text in "prompt". Special tokens written in a text are recognised, so that chat prompts
// can be given as their model sees them. The last `continuation_tokens` tokens of each prompt
// become its continuation. Errors: those of reading; kFormat naming file and line; kInvalidArgument
// for a prompt with no more tokens than the continuation takes.
Result<std::vector<CalibrationPrompt>> ReadCalibrationPrompts(FileSystem& files,
                                                              const std::vector<std::string>& paths,
                                                              const Tokenizer& tokenizer,
                                                              int64_t continuation_tokens);

}  // namespace fastkv

#endif  // FASTKV_APPS_CALIBRATION_PROMPTS_H_
