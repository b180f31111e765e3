// LongBench's metric of its code sets (lcc, repobench-p).
#ifndef FASTKV_EVAL_SCORERS_CODE_SIMILARITY_H_
#define FASTKV_EVAL_SCORERS_CODE_SIMILARITY_H_

#include <string_view>

namespace fastkv {

// fuzzywuzzy's ratio is difflib's where python-Levenshtein is not installed, as LongBench's
// requirements leave it, and an indel ratio where it is.
enum class EditRatio { kDifflib, kIndel };

// The first line of the prediction that holds neither a back-tick nor `#` nor `//`; empty where
// there is none. REQUIRES: valid UTF-8. Thread-safe.
std::string_view FirstCodeLine(std::string_view prediction);

// fuzzywuzzy.fuzz.ratio: 0 to 100, rounded half to even. REQUIRES: valid UTF-8. Thread-safe.
int FuzzRatio(std::string_view a, std::string_view b, EditRatio ratio = EditRatio::kDifflib);

// The ratio of that line and the answer, 0 to 1 (code_sim_score in metrics.py).
double CodeSimilarity(std::string_view prediction, std::string_view answer,
                      EditRatio ratio = EditRatio::kDifflib);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_CODE_SIMILARITY_H_
