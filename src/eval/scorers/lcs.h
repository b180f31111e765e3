// A longest common subsequence of two token sequences, chosen as the public ROUGE packages choose
// it. Scores depend on which of several equally long ones is read back from the table.
#ifndef FASTKV_EVAL_SCORERS_LCS_H_
#define FASTKV_EVAL_SCORERS_LCS_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"

namespace fastkv {

// Numbers for words, so that comparing is cheap. The words must outlive it. Not thread-safe.
class WordIds {
 public:
  int32_t Of(std::string_view word) {
    return ids_.try_emplace(word, static_cast<int32_t>(ids_.size())).first->second;
  }
  int64_t size() const { return static_cast<int64_t>(ids_.size()); }

 private:
  std::unordered_map<std::string_view, int32_t> ids_;
};

// Where dropping the last token of either sequence leaves an equally long subsequence.
enum class LcsTie { kDropFirst, kDropSecond };

struct LcsTrace {
  std::vector<int32_t> indices;  // into the first sequence, ascending
  int64_t num_steps = 0;         // of the way back through the table
};

// The way back from the end of both: equal tokens are taken, else the token whose loss costs less
// is dropped. Errors: kLimit when the table would exceed limits::kMaxLcsCells. Thread-safe.
Result<LcsTrace> TraceLcs(std::span<const int32_t> first, std::span<const int32_t> second,
                          LcsTie tie);

// Its length alone, in memory of one row.
template <typename Token>
int64_t LcsLength(std::span<const Token> first, std::span<const Token> second) {
  std::vector<int64_t> row(second.size() + 1, 0);
  for (const Token& token : first) {
    int64_t diagonal = 0;
    for (size_t j = 0; j < second.size(); ++j) {
      const int64_t up = row[j + 1];
      row[j + 1] = token == second[j] ? diagonal + 1 : std::max(up, row[j]);
      diagonal = up;
    }
  }
  return row.back();
}

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_LCS_H_
