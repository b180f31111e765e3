// The published score of FastKV's needle test (eval/visualize.py of its repository).
#ifndef FASTKV_EVAL_SCORERS_COVERAGE_H_
#define FASTKV_EVAL_SCORERS_COVERAGE_H_

#include <string_view>

namespace fastkv {

// The share of the distinct words of `expected` that are words of `response`; words are lower-cased
// and keep their punctuation. 0 where nothing is expected. REQUIRES: valid UTF-8. Thread-safe.
double WordCoverage(std::string_view response, std::string_view expected);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_COVERAGE_H_
