// RULER's common words: ten words of a long numbered list occur more often than the others.
#ifndef FASTKV_EVAL_RULER_COMMON_WORDS_H_
#define FASTKV_EVAL_RULER_COMMON_WORDS_H_

#include <cstdint>
#include <memory>

#include "eval/ruler/ruler_task.h"

namespace fastkv {

std::unique_ptr<RulerTask> CreateCommonWordsTask(int64_t length_tokens,
                                                 const TokenCounter& count_tokens);

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_COMMON_WORDS_H_
