// Samples of one RULER task, all of one length.
#ifndef FASTKV_EVAL_RULER_RULER_GENERATOR_H_
#define FASTKV_EVAL_RULER_RULER_GENERATOR_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "eval/needle_tasks.h"
#include "eval/ruler/ruler_task.h"

namespace fastkv {

struct RulerSample {
  int64_t index = 0;
  std::string input;
  std::string answer_prefix;
  std::vector<std::string> outputs;
  int64_t length_tokens = 0;  // of input and prefix as one text, and the tokens to generate
};

// Below this some tasks have no room for what they ask.
inline constexpr int64_t kMinRulerTokens = 1024;

struct RulerGeneratorParams {
  std::string task;
  int64_t length_tokens = 0;  // at most
  uint64_t seed = 0;
  TokenCounter count_tokens;
};

// The same parameters give the same samples on every machine. Const functions are thread-safe.
class RulerGenerator {
 public:
  // Errors: kInvalidArgument (no such task, a length below kMinRulerTokens).
  static Result<RulerGenerator> Create(RulerGeneratorParams params);

  // One sample by its number. Its length is at most the nominal one and at least 98 % of it. Two
  // numbers can give the same outputs, if hardly ever. Errors: kLimit when no sample of this length
  // can be made, as where a tokenizer needs too many tokens for the words that a task must have.
  Result<RulerSample> Sample(int64_t index) const;

  // The next sample, from number 0 on; it shares neither input nor outputs with one before it.
  // Errors: as Sample; kLimit when there are no further ones.
  Result<RulerSample> Next();

 private:
  RulerGenerator(RulerGeneratorParams params, std::unique_ptr<RulerTask> task,
                 int64_t tokens_to_generate);
  // Draft number `draft` and on, the first that fits; `draft` is left behind it.
  Result<RulerSample> FirstThatFits(int64_t index, int& draft) const;
  Result<RulerSample> Fit(RulerDraft& draft) const;
  int64_t CountPrompt(const RulerText& text) const;

  RulerGeneratorParams params_;
  std::unique_ptr<RulerTask> task_;
  int64_t tokens_to_generate_;
  int64_t next_index_ = 0;
  std::set<std::string> inputs_;
  std::set<std::vector<std::string>> outputs_;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_RULER_GENERATOR_H_
