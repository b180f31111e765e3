// Prompts of public benchmarks as token ids, with each profile's order of wrapping and cutting.
#ifndef FASTKV_EVAL_SUITES_BENCHMARK_PROMPT_H_
#define FASTKV_EVAL_SUITES_BENCHMARK_PROMPT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/suites/benchmark_task.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace fastkv {

struct BenchmarkPrompt {
  std::vector<int32_t> ids;
  int64_t full_tokens = 0;  // before cutting
  bool is_cut = false;
  std::string cut_text;  // of what the user says, where that alone was cut
};

// Both must outlive the call; without a template, prompts are texts to be continued.
struct PromptFormat {
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat = nullptr;
};

// `official`: the plain prompt is cut in the middle where it has more than `max_tokens` tokens,
// then wrapped in the chat template; where the template begins with the beginning token, none is
// added. `fastkv`: the prompt is wrapped, a beginning token is added whatever the template has, and
// the wrapped text is cut, which takes chat markup and special tokens away. Cutting keeps the first
// and the last `max_tokens / 2` tokens, decodes both halves without special tokens, joins the texts
// and encodes the result, so that the seam may become other tokens. Special tokens written in a
// prompt are read as such, as in the benchmarks' own scripts. The prefix of the answer follows the
// chat markup; in `fastkv` it is part of what the user says. Errors: those of the tokenizer and the
// template. REQUIRES: max_tokens >= 2. Thread-safe.
Result<BenchmarkPrompt> MakeBenchmarkPrompt(const BenchmarkSample& sample, BenchmarkProfile profile,
                                            int64_t max_tokens, const PromptFormat& format);

// How many ids of `prompt`, which was made of the other arguments, are the context alone, chat
// markup before it included: those that it has in common with the prompt of the same text without
// sample.question_bytes at its end. 0 where that is unknown: `fastkv` cut the prompt, or the cut
// went into the question. Errors and thread-safety: as MakeBenchmarkPrompt.
Result<int64_t> ContextTokensOf(const BenchmarkPrompt& prompt, const BenchmarkSample& sample,
                                BenchmarkProfile profile, const PromptFormat& format);

// FastKV's scripts cut prompts by the model's path: the tokens that stay, or nothing where they
// know no limit. They cut further for the methods h2o and pyramidinfer (7,950 tokens); here all
// methods read the same prompt.
std::optional<int64_t> FastkvPromptLimit(std::string_view model_path);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_BENCHMARK_PROMPT_H_
