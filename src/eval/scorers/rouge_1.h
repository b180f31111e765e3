// ROUGE-1 of google-research's rouge_score with stemming, the score that needle tests store.
#ifndef FASTKV_EVAL_SCORERS_ROUGE_1_H_
#define FASTKV_EVAL_SCORERS_ROUGE_1_H_

#include <string_view>

namespace fastkv {

// F of the bags of stemmed tokens; tokens of at most three characters keep their form.
// REQUIRES: valid UTF-8. Thread-safe.
double Rouge1(std::string_view prediction, std::string_view answer);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_ROUGE_1_H_
