// From the facts of a sample, in bytes, to the tokens that a picture marks.
#ifndef FASTKV_EVAL_FACT_MARKS_H_
#define FASTKV_EVAL_FACT_MARKS_H_

#include <span>
#include <string>
#include <vector>

#include "eval/needle_tasks.h"
#include "eval/selection_page.h"

namespace fastkv {

// One mark for each fact of `sample`. The token texts, joined, are the prompt as the tokenizer
// gives it back; where that is not the prompt byte for byte, facts are looked up by their sentence
// and those that are not found are left out.
std::vector<MarkedFact> MarkFacts(const NeedleSample& sample,
                                  std::span<const std::string> token_texts);

}  // namespace fastkv

#endif  // FASTKV_EVAL_FACT_MARKS_H_
