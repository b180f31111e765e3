// RULER's frequent words: made-up words whose frequencies fall with their rank as Zipf's law says.
#ifndef FASTKV_EVAL_RULER_FREQUENT_WORDS_H_
#define FASTKV_EVAL_RULER_FREQUENT_WORDS_H_

#include <cstdint>
#include <memory>

#include "eval/ruler/ruler_task.h"

namespace fastkv {

std::unique_ptr<RulerTask> CreateFrequentWordsTask(int64_t length_tokens);

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_FREQUENT_WORDS_H_
