#include "eval/scorers/jieba_dictionary.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "eval/scorers/python_text.h"
#include "io/quoted.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr int64_t kMaxFrequency = int64_t{1} << 40;

}  // namespace

Result<JiebaDictionary> JiebaDictionary::Parse(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  JiebaDictionary dictionary;
  int64_t line_number = 0;
  for (const std::string_view line : SplitAt(text, '\n')) {
    ++line_number;
    const auto wrong = [&] {
      return FormatError("line " + std::to_string(line_number) +
                         ": expected a word and its frequency, got " + Quoted(line));
    };
    if (FindInvalidUtf8(line)) return wrong();
    if (StripWhiteSpace(line).empty()) continue;
    const auto fields = SplitAt(StripWhiteSpace(line), ' ');
    int64_t frequency = -1;
    if (fields.size() >= 2) {
      std::from_chars(fields[1].data(), fields[1].data() + fields[1].size(), frequency);
    }
    if (frequency < 0 || frequency > kMaxFrequency) return wrong();
    const std::u32string word = CodePoints(fields[0]);
    dictionary.frequencies_[word] = frequency;
    dictionary.total_ += frequency;
    for (size_t length = 1; length < word.size(); ++length) {
      dictionary.frequencies_.try_emplace(word.substr(0, length), 0);
    }
  }
  if (dictionary.total_ <= 0) return FormatError("expected words with frequencies, found none");
  return dictionary;
}

int64_t JiebaDictionary::Frequency(std::u32string_view word) const {
  const auto found = frequencies_.find(word);
  return found == frequencies_.end() ? 0 : found->second;
}

std::vector<size_t> JiebaDictionary::BestEnds(std::u32string_view run) const {
  const double log_total = std::log(static_cast<double>(total_));
  std::vector<double> best(run.size() + 1, 0);  // log probability of what begins there
  std::vector<size_t> ends(run.size());
  for (size_t begin = run.size(); begin-- > 0;) {
    size_t& best_end = ends[begin] = 0;
    const auto consider = [&](size_t end, int64_t frequency) {
      const double log_probability =
          std::log(static_cast<double>(std::max<int64_t>(frequency, 1))) - log_total + best[end];
      if (best_end == 0 || log_probability >= best[begin]) {
        best[begin] = log_probability;
        best_end = end;
      }
    };
    for (size_t end = begin + 1; end <= run.size(); ++end) {
      const auto found = frequencies_.find(run.substr(begin, end - begin));
      if (found == frequencies_.end()) break;
      if (found->second > 0) consider(end, found->second);
    }
    if (best_end == 0) consider(begin + 1, 1);
  }
  return ends;
}

}  // namespace fastkv
