// fastkv eval score: scores given predictions with the rules of the public benchmarks.
#ifndef FASTKV_APPS_FASTKV_EVAL_SCORE_H_
#define FASTKV_APPS_FASTKV_EVAL_SCORE_H_

#include <CLI/CLI.hpp>
#include <iosfwd>
#include <string>

#include "base/status.h"

namespace fastkv {

struct EvalScoreOptions {
  std::string input_file;
  std::string jieba_folder;            // empty: Chinese words are unsupported
  std::string edit_ratio = "difflib";  // or indel
  int64_t rouge_trace_limit = 0;       // 0: none
  bool any_name = false;
  bool json = false;
};

void AddEvalScoreOptions(CLI::App& command, EvalScoreOptions& options);

// With --json one object for each line of the input that is not blank; without it a table of the
// scores of each task, as the public programs round them (dataset_score.h). Nothing when a line is
// malformed. Errors: those of reading; kFormat and kInvalidArgument with the line.
Status RunEvalScore(const EvalScoreOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_FASTKV_EVAL_SCORE_H_
