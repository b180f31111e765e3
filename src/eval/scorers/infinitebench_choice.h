// InfiniteBench's metrics of its multiple-choice tasks (src/compute_scores.py).
//
// Predictions are valid UTF-8 (REQUIRES); the functions give 0 or 1 and are thread-safe.
#ifndef FASTKV_EVAL_SCORERS_INFINITEBENCH_CHOICE_H_
#define FASTKV_EVAL_SCORERS_INFINITEBENCH_CHOICE_H_

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "io/json.h"

namespace fastkv {

struct ChoiceLabel {
  std::string text;    // the option itself, for code_debug a function's name
  std::string letter;  // A to D
};

// The label behind the data's `answer`: a string or a list of one, whose letter is its place among
// `options`; or the text and the letter. Errors: kFormat when it is none of the options, or its
// place has no letter.
Result<ChoiceLabel> ChoiceLabelOf(const Json& answer, std::span<const std::string> options);

// longbook_choice_eng. A prediction that begins with one of the letters, even as an article or in a
// word, is that answer; else what follows "answer is" and the like; else the first word that is
// part of "ABCD".
double BookChoiceScore(std::string_view prediction, const ChoiceLabel& label);

// code_debug. The prediction begins with the letter and a full stop or colon, or its first "answer
// is:" and the like is followed by the letter or the function. A letter alone scores 0.
double CodeDebugScore(std::string_view prediction, const ChoiceLabel& label);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_INFINITEBENCH_CHOICE_H_
