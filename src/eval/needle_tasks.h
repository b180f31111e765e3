// The built-in tasks: questions about facts hidden in generated prose. The needle model in models/
// was trained on exactly this language.
//
//   number  one secret number among many               values  all numbers of one key, in text
//   order word    one password among many                    many    the numbers of two or three
//   keys dense   as number, in a context of facts alone     trace   which names share a value
#ifndef FASTKV_EVAL_NEEDLE_TASKS_H_
#define FASTKV_EVAL_NEEDLE_TASKS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fastkv {

// Number of tokens of a text, special tokens written in it counted as one each.
using TokenCounter = std::function<int64_t(std::string_view)>;

// Where a fact stands in a prompt, in bytes [begin, end). The sentence comes without its leading
// space; the value is the answer part inside it.
struct FactSpan {
  size_t begin = 0;
  size_t end = 0;
  size_t value_begin = 0;
  size_t value_end = 0;
};

struct NeedleSample {
  std::string task;
  std::string context;  // sentences, each with one space before it
  std::string question;
  std::string prompt;  // complete, with an open assistant turn
  std::vector<std::string> answer_parts;
  std::string answer;           // the parts joined by ", "
  std::vector<FactSpan> facts;  // one for each answer part, in the order of the parts
};

// number, word, dense, values, many, trace.
std::span<const std::string_view> NeedleTaskNames();

// One sample: the prompt has at most `target_tokens` tokens and at least 98 % of them. The same
// arguments give the same sample on every machine.
// Errors: kInvalidArgument (no such task; target below kMinNeedleTokens), kLimit (the keys run out
// before the target is reached, or no sample hits the length).
Result<NeedleSample> MakeNeedleSample(std::string_view task, int64_t target_tokens, uint64_t seed,
                                      const TokenCounter& count_tokens);

// Several samples over one and the same context, one for each name in `tasks`. No two of `number`
// and `word` ask for the same fact. The longest prompt keeps the length rule; the others are
// shorter by as much as their questions are. Errors: as MakeNeedleSample; kInvalidArgument also
// when `tasks` is empty.
Result<std::vector<NeedleSample>> MakeNeedleContextWithQuestions(
    std::span<const std::string_view> tasks, int64_t target_tokens, uint64_t seed,
    const TokenCounter& count_tokens);

// Below this the 2 % play in length is smaller than a sentence.
inline constexpr int64_t kMinNeedleTokens = 1024;

// The share of the parts that occur in `output`, 0 to 1. REQUIRES: answer_parts is not empty.
double ScoreNeedleOutput(std::string_view output, std::span<const std::string> answer_parts);

}  // namespace fastkv

#endif  // FASTKV_EVAL_NEEDLE_TASKS_H_
