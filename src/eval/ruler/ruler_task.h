// RULER (arXiv 2404.06654): its 13 tasks, and what makes samples of one of them. The samples are
// ours: the structure is RULER's, the wording, the words and the numbers are not, so scores are not
// comparable with those on its own data.
#ifndef FASTKV_EVAL_RULER_RULER_TASK_H_
#define FASTKV_EVAL_RULER_RULER_TASK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "eval/needle_tasks.h"

namespace fastkv {

// The tokens that RULER generates for a task (scripts/data/synthetic/constants.py); nothing for an
// unknown one.
std::optional<int64_t> RulerTokensToGenerate(std::string_view task);

struct RulerText {
  std::string input;          // context and question, without chat markup
  std::string answer_prefix;  // how the answer begins; belongs to the assistant's turn
  std::vector<std::string> outputs;
};

// One sample whose context may have any length: all random choices are made but how many lines,
// sentences, words or documents there are. Not thread-safe.
class RulerDraft {
 public:
  virtual ~RulerDraft() = default;
  // The same number gives the same text; a greater one gives a longer text, as a rule.
  // REQUIRES: min_units() <= num_units <= max_units().
  virtual RulerText Text(int64_t num_units) = 0;
  virtual int64_t min_units() const = 0;
  virtual int64_t max_units() const { return int64_t{1} << 32; }
};

// Immutable; thread-safe.
class RulerTask {
 public:
  virtual ~RulerTask() = default;
  // The draft of sample `index`. All randomness comes from `random`, but for what differs from
  // sample to sample by design, such as depths.
  virtual std::unique_ptr<RulerDraft> NewDraft(int64_t index, Random random) const = 0;
};

struct RulerTaskParams {
  std::string_view name;
  int64_t length_tokens = 0;  // the nominal length, generation included
  uint64_t seed = 0;
  TokenCounter count_tokens;
};

// Errors: kInvalidArgument names the 13 tasks.
Result<std::unique_ptr<RulerTask>> CreateRulerTask(const RulerTaskParams& params);

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_RULER_TASK_H_
