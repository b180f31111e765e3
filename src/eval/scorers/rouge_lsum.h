// ROUGE-Lsum of google-research's rouge_score without stemming, InfiniteBench's metric of
// longbook_sum_eng; and the tokens that all of that package's metrics use.
#ifndef FASTKV_EVAL_SCORERS_ROUGE_LSUM_H_
#define FASTKV_EVAL_SCORERS_ROUGE_LSUM_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fastkv {

// Runs of a-z and 0-9 of the lower-case text. REQUIRES: valid UTF-8. Thread-safe.
std::vector<std::string> RougeTokens(std::string_view text);

// Sentences are lines. For each line of `answer` the union, over the lines of `prediction`, of the
// positions of their common subsequence; a token counts at most as often as it occurs on either
// side (Lin 2004, section 3.2). P and R over all tokens, F = 2PR / (P + R); 0 where a side has no
// token. REQUIRES: valid UTF-8. Errors: kLimit (lcs.h). Thread-safe.
Result<double> RougeLsum(std::string_view prediction, std::string_view answer);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_ROUGE_LSUM_H_
