// The prompt templates of InfiniteBench, from the user's copy of its repository.
#ifndef FASTKV_EVAL_SUITES_INFINITEBENCH_PROMPTS_H_
#define FASTKV_EVAL_SUITES_INFINITEBENCH_PROMPTS_H_

#include <string>

#include "base/status.h"
#include "eval/suites/python_format.h"
#include "io/file.h"
#include "io/json.h"

namespace fastkv {

// Two of the repository's dictionaries: for models that follow instructions, and for those that
// continue a text.
enum class InfiniteBenchStyle { kChat, kCompletion };

struct InfiniteBenchPrompts {
  std::string task_template;
  std::string find_prefix;  // of math_find: the question that stands before the list
};

// Reads prompt.py below `folder`, itself or in src/, and takes the template of `task` from
// gpt4_templates or yarn_mistral_templates; for math_find also eval_utils.py beside it. Where there
// is a prompts.json instead, an object with those dictionaries and "math_find_prefix", that is
// read. Errors: those of FileSystem; kNotFound; kFormat names file and line.
Result<InfiniteBenchPrompts> ReadInfiniteBenchPrompts(FileSystem& files, const std::string& folder,
                                                      const std::string& task,
                                                      InfiniteBenchStyle style);

// The fields that templates may ask for, from a record's `context` (or `content`), `input` and
// `options`, as create_prompt makes them. Errors: kFormat names the field.
Result<FormatFields> InfiniteBenchFields(const JsonFields& record, const std::string& task,
                                         const InfiniteBenchPrompts& prompts);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_INFINITEBENCH_PROMPTS_H_
