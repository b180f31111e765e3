// One task or data set of a public benchmark: what to ask, and how the answer is scored.
#ifndef FASTKV_EVAL_SUITES_BENCHMARK_TASK_H_
#define FASTKV_EVAL_SUITES_BENCHMARK_TASK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "eval/scorers/score_request.h"
#include "io/json.h"

namespace fastkv {

// By whose rules prompts are made and answers are cut. Scores of different profiles must not be
// compared.
enum class BenchmarkProfile {
  kOfficial,  // the benchmark's own repository; answers end at any of the model's end tokens
  kFastkv,    // FastKV's evaluation scripts; they end at the tokenizer's one end token alone
};

// "official" or "fastkv".
std::string_view ProfileName(BenchmarkProfile profile);
// Errors: kInvalidArgument.
Result<BenchmarkProfile> ParseProfile(std::string_view name);

struct BenchmarkSample {
  int64_t line_number = 0;     // in its file, or the index of a generated sample, from 1 on
  std::string prompt;          // what the user says
  int64_t question_bytes = 0;  // what stands behind the context, at the end of `prompt`
  std::string answer_prefix;   // how the model's answer begins, behind the chat markup
  bool use_chat = true;        // false: a text to be continued
  int64_t max_new_tokens = 0;
  bool needs_a_token = false;    // the first token is not one that ends the answer
  bool stop_at_newline = false;  // the end of a line ends the answer
  std::string question;          // for people
  ScoreRequest score;            // all but the prediction
};

// Immutable; thread-safe.
class BenchmarkTask {
 public:
  virtual ~BenchmarkTask() = default;
  // What the samples hang on besides the program: the hash of the data file, or the settings of a
  // generator.
  virtual Json Settings() const = 0;
  virtual int64_t num_samples() const = 0;
  // The same for all samples.
  virtual int64_t max_new_tokens() const = 0;
  // Errors: kFormat for a record that is not what the benchmark has: leave it out and say so.
  // REQUIRES: 0 <= index < num_samples().
  virtual Result<BenchmarkSample> Sample(int64_t index) const = 0;
  // Whether Sample(index) would give one, told without the work of making it where that is
  // possible.
  virtual Status Check(int64_t index) const { return Sample(index).status(); }
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_BENCHMARK_TASK_H_
