#include "eval/scorers/rouge_lsum.h"

#include <list>
#include <set>

#include "eval/scorers/lcs.h"
#include "eval/scorers/python_text.h"
#include "text/unicode_case.h"

namespace fastkv {
namespace {

using Lines = std::vector<std::vector<int32_t>>;

// Owns the words that WordIds only points at.
class LineReader {
 public:
  Lines Read(std::string_view text) {
    Lines lines;
    for (const std::string_view line : SplitAt(text, '\n')) {
      std::vector<int32_t> ids;
      for (const std::string& token : RougeTokens(line)) {
        ids.push_back(ids_.Of(words_.emplace_back(token)));
      }
      if (!ids.empty()) lines.push_back(std::move(ids));
    }
    return lines;
  }
  size_t num_words() const { return static_cast<size_t>(ids_.size()); }

 private:
  std::list<std::string> words_;
  WordIds ids_;
};

// How often each word occurs; [num_words].
std::vector<int64_t> Counts(const Lines& lines, size_t num_words) {
  std::vector<int64_t> counts(num_words, 0);
  for (const auto& line : lines) {
    for (const int32_t word : line) ++counts[static_cast<size_t>(word)];
  }
  return counts;
}

int64_t NumTokens(const Lines& lines) {
  int64_t num_tokens = 0;
  for (const auto& line : lines) num_tokens += static_cast<int64_t>(line.size());
  return num_tokens;
}

}  // namespace

std::vector<std::string> RougeTokens(std::string_view text) {
  std::string spaced = FullLowerCase(text);
  for (char& c : spaced) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = ' ';
  }
  std::vector<std::string> tokens;
  for (const std::string_view token : SplitWhiteSpace(spaced)) tokens.emplace_back(token);
  return tokens;
}

Result<double> RougeLsum(std::string_view prediction, std::string_view answer) {
  LineReader reader;
  const Lines hypotheses = reader.Read(prediction);
  const Lines references = reader.Read(answer);
  if (hypotheses.empty() || references.empty()) return 0.0;
  std::vector<int64_t> left_in_hypotheses = Counts(hypotheses, reader.num_words());
  std::vector<int64_t> left_in_references = Counts(references, reader.num_words());
  int64_t num_hits = 0;
  for (const auto& reference : references) {
    std::set<int32_t> positions;
    for (const auto& hypothesis : hypotheses) {
      FASTKV_ASSIGN_OR_RETURN(const LcsTrace trace,
                              TraceLcs(reference, hypothesis, LcsTie::kDropFirst));
      positions.insert(trace.indices.begin(), trace.indices.end());
    }
    for (const int32_t position : positions) {
      const auto word = static_cast<size_t>(reference[static_cast<size_t>(position)]);
      if (left_in_hypotheses[word] == 0 || left_in_references[word] == 0) continue;
      --left_in_hypotheses[word];
      --left_in_references[word];
      ++num_hits;
    }
  }
  if (num_hits == 0) return 0.0;
  const double precision =
      static_cast<double>(num_hits) / static_cast<double>(NumTokens(hypotheses));
  const double recall = static_cast<double>(num_hits) / static_cast<double>(NumTokens(references));
  return 2 * precision * recall / (precision + recall);
}

}  // namespace fastkv
