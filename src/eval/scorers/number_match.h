// LongBench's metrics that compare numbers as texts: "07" is not "7".
//
// Texts are valid UTF-8 (REQUIRES); all functions are thread-safe.
#ifndef FASTKV_EVAL_SCORERS_NUMBER_MATCH_H_
#define FASTKV_EVAL_SCORERS_NUMBER_MATCH_H_

#include <string_view>

#include "base/status.h"

namespace fastkv {

// The share of the numbers in `prediction` that are `answer`; 0 where there is none
// (count_score in metrics.py).
double CountScore(std::string_view prediction, std::string_view answer);

// CountScore against the number that follows `label` in the answer, such as "Paragraph "
// (retrieval_score, retrieval_zh_score). Errors: kFormat when no number follows.
Result<double> RetrievalScore(std::string_view prediction, std::string_view answer,
                              std::string_view label);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_NUMBER_MATCH_H_
