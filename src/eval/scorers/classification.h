// LongBench's metric of its classification sets (trec, lsht).
#ifndef FASTKV_EVAL_SCORERS_CLASSIFICATION_H_
#define FASTKV_EVAL_SCORERS_CLASSIFICATION_H_

#include <span>
#include <string>
#include <string_view>

namespace fastkv {

// One over the number of classes named in the prediction, if `answer` is among them, else 0. A
// class that is part of the answer's name does not count; but the list is filtered while it is
// walked, so that whatever follows a removed class is not looked at (classification_score in
// metrics.py). Thread-safe.
double ClassificationScore(std::string_view prediction, std::string_view answer,
                           std::span<const std::string> all_classes);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_CLASSIFICATION_H_
