// ROUGE-L as LongBench reports it: the F value of the package `rouge` 1.0.1 (pltrdy), which counts
// distinct words and so differs from the definition of Lin 2004.
#ifndef FASTKV_EVAL_SCORERS_ROUGE_L_H_
#define FASTKV_EVAL_SCORERS_ROUGE_L_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"

namespace fastkv {

class JiebaSegmenter;

struct RougeLOptions {
  // The package reads a subsequence back by recursion, and one longer than Python's stack (about
  // 990 steps under CPython 3.11) makes its score 0. With a value, so do longer ones here.
  std::optional<int64_t> max_trace_steps;
};

// Sentences are what full stops separate, words what white space separates. With U the distinct
// words of the common subsequences of all pairs of a reference and a hypothesis sentence, R = |U| /
// distinct words of `answer`, P = |U| / those of `prediction`, F = 2PR / (P + R + 1e-8). 0 where
// either side has no sentence. REQUIRES: valid UTF-8. Errors: kLimit (lcs.h). Thread-safe.
Result<double> RougeL(std::string_view prediction, std::string_view answer,
                      const RougeLOptions& options = {});

// The same over jieba's words. Full stops of the text still separate sentences.
Result<double> ChineseRougeL(std::string_view prediction, std::string_view answer,
                             const JiebaSegmenter& segmenter, const RougeLOptions& options = {});

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_ROUGE_L_H_
