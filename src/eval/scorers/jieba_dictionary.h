// jieba's dictionary (dict.txt) and the most probable way through it.
#ifndef FASTKV_EVAL_SCORERS_JIEBA_DICTIONARY_H_
#define FASTKV_EVAL_SCORERS_JIEBA_DICTIONARY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"

namespace fastkv {

// Immutable after Parse; thread-safe.
class JiebaDictionary {
 public:
  // One word a line: the word, its frequency, and what is left aside, separated by spaces.
  // Errors: kFormat with the line.
  static Result<JiebaDictionary> Parse(std::string_view text);

  // 0 for a word that is only the beginning of others, and for an unknown one.
  int64_t Frequency(std::u32string_view word) const;

  // The end (exclusive) of the word that begins at each character when words are chosen so that the
  // product of their relative frequencies, and of everything behind them, is greatest; between
  // equals the longer word. [run.size()]
  std::vector<size_t> BestEnds(std::u32string_view run) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::u32string_view word) const {
      return std::hash<std::u32string_view>()(word);
    }
  };

  // Words and all their beginnings; a beginning that is no word has frequency 0.
  std::unordered_map<std::u32string, int64_t, Hash, std::equal_to<>> frequencies_;
  int64_t total_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_JIEBA_DICTIONARY_H_
