// Single samples on the page of an evaluation: question, what was expected, the prompt around it,
// and what each run answered.
#ifndef FASTKV_EVAL_SAMPLE_LIST_H_
#define FASTKV_EVAL_SAMPLE_LIST_H_

#include <span>
#include <string>

#include "eval/eval_record.h"

namespace fastkv {

// At most about `max_bytes` of HTML: first the samples that the runs answered differently or that
// failed, then others; shown in the order of the samples, with a note of how many there are.
// Everything is escaped. REQUIRES: records in the order of the result log.
std::string RenderSampleList(std::span<const EvalRecord> records, size_t max_bytes);

// What a suite expects, as one line for people.
std::string ExpectedText(const Json& expected);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SAMPLE_LIST_H_
