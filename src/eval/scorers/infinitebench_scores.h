// InfiniteBench's metrics, one for each task (src/compute_scores.py), but for those of the books:
// token_f1.h and rouge_lsum.h have the plain ones, infinitebench_choice.h those of multiple choice.
//
// Predictions are valid UTF-8 (REQUIRES); all functions give 0 to 1 and are thread-safe. Labels are
// JSON values as the data files hold them. Errors: kFormat for a label that is not what the task
// has.
#ifndef FASTKV_EVAL_SCORERS_INFINITEBENCH_SCORES_H_
#define FASTKV_EVAL_SCORERS_INFINITEBENCH_SCORES_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/json.h"

namespace fastkv {

// The words of a prediction for tasks that look a word up: newlines and :"'.,?!{} separate words
// too.
std::vector<std::string> RetrievalWords(std::string_view prediction);

// passkey, number_string: the first run of ASCII digits is the label, leading zeros included. The
// label is a string, alone or as the one element of a list; so too below, where nothing else is
// said.
Result<double> FirstIntegerScore(std::string_view prediction, const Json& label);

// kv_retrieval: a word of the prediction is the label. The original compares with the list and so
// never finds one where the label is in a list.
Result<double> KeyValueScore(std::string_view prediction, const Json& label);

// code_run: the last word, read as an integer, is the label, a number or its text.
Result<double> CodeRunScore(std::string_view prediction, const Json& label);

// math_find: the first number is the label, a number or its text. Against an integer label a number
// with decimals, at which the original fails, scores 0.
Result<double> MathFindScore(std::string_view prediction, const Json& label);

// math_calc: how many runs of ASCII digits, from the first on, are the labels one by one, over the
// number of labels. The label is a list of numbers, or such a list in a list. `drop_first`: leave
// out the first run, as the original does for GPT-4, which repeats the expression's first number.
Result<double> MathCalcScore(std::string_view prediction, const Json& label, bool drop_first);

// longdialogue_qa_eng: an upper-cased word is the first of the labels (a list of strings, or one
// string); with `any_label`, which is not the original's rule, one of them.
Result<double> DialogueNameScore(std::string_view prediction, const Json& label, bool any_label);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_INFINITEBENCH_SCORES_H_
