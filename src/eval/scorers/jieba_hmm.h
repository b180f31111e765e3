// jieba's hidden Markov model, which finds words that no dictionary has.
#ifndef FASTKV_EVAL_SCORERS_JIEBA_HMM_H_
#define FASTKV_EVAL_SCORERS_JIEBA_HMM_H_

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"

namespace fastkv {

// A character begins a word of several, ends one, stands in the middle of one, or is a word. In the
// order of their letters, by which equal probabilities are told apart.
enum class HmmState { kBegin, kEnd, kMiddle, kSingle };
inline constexpr int kNumHmmStates = 4;

// U+4E00 to U+9FD5.
inline bool IsHan(char32_t code_point) { return code_point >= 0x4E00 && code_point <= 0x9FD5; }

// Immutable after Parse; thread-safe.
class JiebaHmm {
 public:
  // The sources of the three tables, each a dictionary named P from state letters, of logarithms.
  // Errors: kFormat names the table.
  static Result<JiebaHmm> Parse(std::string_view start, std::string_view transitions,
                                std::string_view emissions);

  // Cuts `text` into words. REQUIRES: not empty.
  std::vector<std::u32string_view> Segment(std::u32string_view text) const;

 private:
  using StateLogs = std::array<double, kNumHmmStates>;

  std::vector<HmmState> BestStates(std::u32string_view han) const;
  void SegmentHan(std::u32string_view han, std::vector<std::u32string_view>& words) const;

  StateLogs start_{};
  std::array<StateLogs, kNumHmmStates> transitions_{};  // [from][to]
  std::unordered_map<char32_t, StateLogs> emissions_;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_JIEBA_HMM_H_
