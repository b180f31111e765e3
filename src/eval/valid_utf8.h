// Text from outside, made fit for JSON and for scorers.
#ifndef FASTKV_EVAL_VALID_UTF8_H_
#define FASTKV_EVAL_VALID_UTF8_H_

#include <string>
#include <string_view>

namespace fastkv {

// `text` with every byte that does not belong to valid UTF-8 replaced by U+FFFD. What a model
// writes may end inside a character.
std::string ValidUtf8(std::string_view text);

}  // namespace fastkv

#endif  // FASTKV_EVAL_VALID_UTF8_H_
