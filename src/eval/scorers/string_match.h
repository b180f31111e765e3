// RULER's metrics: which references occur in the prediction, case aside. A reference counts inside
// longer words and numbers too, and an empty one always occurs.
//
// Texts are valid UTF-8 (REQUIRES); all functions are thread-safe.
#ifndef FASTKV_EVAL_SCORERS_STRING_MATCH_H_
#define FASTKV_EVAL_SCORERS_STRING_MATCH_H_

#include <span>
#include <string>
#include <string_view>

namespace fastkv {

// What RULER does to a prediction first: control characters (below U+0020) become newlines, and
// both ends are stripped (scripts/eval/evaluate.py, postprocess_pred).
std::string CleanRulerPrediction(std::string_view prediction);

// The share of the references that occur; 0 for none (string_match_all of one sample).
double StringMatchAll(std::string_view prediction, std::span<const std::string> references);

// 1 if any occurs, else 0 (string_match_part of one sample).
double StringMatchPart(std::string_view prediction, std::span<const std::string> references);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_STRING_MATCH_H_
