// Text as the scorers of published benchmarks see it: Python's case, white space and words.
// Pure functions.
#ifndef FASTKV_EVAL_TEXT_METRICS_H_
#define FASTKV_EVAL_TEXT_METRICS_H_

#include <string>
#include <string_view>
#include <vector>

namespace fastkv {

// `text` with every byte that does not belong to valid UTF-8 replaced by U+FFFD. What a model
// writes may end inside a character.
std::string ValidUtf8(std::string_view text);

// Python's str.lower(), str.split() and str.strip(). REQUIRES: valid UTF-8.
std::string PythonLower(std::string_view text);
std::vector<std::string> PythonSplit(std::string_view text);
std::string_view PythonStrip(std::string_view text);

// The share of the distinct lower-case words of `expected` that `response` holds, punctuation kept:
// the score of the published needle plots. 0 where `expected` has no words. REQUIRES: valid UTF-8.
double NeedleWordCoverage(std::string_view response, std::string_view expected);

}  // namespace fastkv

#endif  // FASTKV_EVAL_TEXT_METRICS_H_
