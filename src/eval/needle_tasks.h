// The built-in tasks: questions about facts hidden in generated prose. The needle model in models/
// was trained on exactly this language.
//
//   number  one secret number among many
//   word    one password among many
//   dense   as number, in a context of facts alone
//   values  all numbers of one key, in text order
//   many    the numbers of two or three keys
//   trace   which names share a value
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
#include "text/tokenizer.h"

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

// The parts of `sample.prompt` that are tokenised each by itself, as in the prompts that the needle
// model was trained on. As one text, the context's last full stop and the empty line after it give
// a token that stood nowhere in training: at 4,096 tokens the share of right `word` answers falls
// from 1.00 to 0.67. Views into `sample`.
std::vector<std::string_view> NeedlePromptPieces(const NeedleSample& sample);

// The ids of a prompt, piece by piece. Errors: those of the tokenizer.
Result<std::vector<int32_t>> EncodeNeedlePrompt(const Tokenizer& tokenizer,
                                                const NeedleSample& sample);

// Counts with `tokenizer`, which must outlive it. A text that the tokenizer refuses counts as more
// than any prompt may have, so that no sample comes out of it.
TokenCounter NeedleTokenCounter(const Tokenizer& tokenizer);

// number, word, dense, values, many, trace.
std::span<const std::string_view> NeedleTaskNames();

// One sample: the prompt, counted piece by piece, has at most `target_tokens` tokens and at least
// 98 % of them, or 24 less where that is fewer. The same arguments give the same sample on every
// machine.
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

// Below this the facts that some questions ask for leave no room for prose.
inline constexpr int64_t kMinNeedleTokens = 256;

// The share of the parts that occur in `output`, 0 to 1. REQUIRES: answer_parts is not empty.
double ScoreNeedleOutput(std::string_view output, std::span<const std::string> answer_parts);

}  // namespace fastkv

#endif  // FASTKV_EVAL_NEEDLE_TASKS_H_
