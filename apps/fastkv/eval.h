// `fastkv eval`: accuracy of methods on a suite, over the same samples, into a folder that a later
// call goes on with.
#ifndef FASTKV_APPS_EVAL_H_
#define FASTKV_APPS_EVAL_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "fastkv/eval_score.h"
#include "fastkv/model_flags.h"

namespace fastkv {

struct EvalOptions {
  std::string suite;
  ModelFlags model;
  MethodFlags method;
  std::vector<std::string> methods;
  std::vector<double> kv_rates;
  std::vector<std::string> tasks;
  std::vector<int64_t> lengths;
  std::vector<double> depths;
  int64_t num_samples = 0;
  uint64_t seed = 1;
  int64_t questions_per_context = 1;
  bool share_context = false;
  std::string data_folder;
  std::string profile;
  std::string jieba_folder;
  bool chat = false;
  std::string output;
  std::string shard;
  bool rescore = false;
  bool json = false;
  bool quiet = false;

  bool generate_only = false;  // write samples to --output, run nothing

  bool merge = false;  // `fastkv eval merge`
  std::vector<std::string> merge_folders;
  bool score_only = false;  // `fastkv eval score`
  EvalScoreOptions score;
};

void AddEvalOptions(CLI::App& command, EvalOptions& options);
// Errors: those of RunEvalScore, WriteRulerFile, RunEvaluation, RescoreEvaluation and
// MergeEvaluations (eval/eval_runner.h), of the suite and of loading.
Status RunEval(const EvalOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_EVAL_H_
