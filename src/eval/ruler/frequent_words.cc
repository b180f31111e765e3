#include "eval/ruler/frequent_words.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "eval/ruler/ruler_words.h"

namespace fastkv {
namespace {

constexpr int64_t kWordLength = 6;
constexpr std::string_view kFirstRank = "...";
constexpr int64_t kTokensPerRank = 50;
// Below this the ranks asked for could be equally frequent.
constexpr int64_t kMinScale = 100;

// floor(n * rank^-2 / zeta(2)).
int64_t Frequency(int64_t n, int64_t rank) {
  constexpr double kZeta2 = std::numbers::pi * std::numbers::pi / 6;
  const auto r = static_cast<double>(rank);
  return static_cast<int64_t>(std::floor(static_cast<double>(n) / (r * r) / kZeta2));
}

// A unit is one more of the law's n.
class FrequentWordsDraft final : public RulerDraft {
 public:
  FrequentWordsDraft(int64_t num_ranks, Random random) : num_ranks_(num_ranks), random_(random) {
    words_.emplace_back(kFirstRank);
    std::set<std::string> used;
    while (static_cast<int64_t>(words_.size()) < num_ranks_) {
      std::string word = RandomLetters(kWordLength, 'a', random_);
      if (used.insert(word).second) words_.push_back(std::move(word));
    }
    shuffle_seed_ = random_.NextUint64();
  }

  int64_t min_units() const override { return kMinScale; }

  RulerText Text(int64_t num_units) override {
    std::vector<std::string> list;
    for (int64_t rank = 1; rank <= num_ranks_; ++rank) {
      const std::string& word = words_[static_cast<size_t>(rank - 1)];
      list.insert(list.end(), static_cast<size_t>(Frequency(num_units, rank)), word);
    }
    Random shuffling(shuffle_seed_);
    Shuffle(list, shuffling);
    RulerText text;
    text.input =
        "The text below is in code. Count how often each word of it occurs; leave the dots aside.\n"
        "\nCoded text:\n";
    for (size_t i = 0; i < list.size(); ++i) text.input += (i == 0 ? "" : " ") + list[i];
    text.input += "\n\nQuestion: Which three words does the coded text have most often?\n";
    text.answer_prefix = "Answer: The three words that it has most often are:";
    text.outputs = {words_[1], words_[2], words_[3]};
    return text;
  }

 private:
  int64_t num_ranks_;
  Random random_;
  std::vector<std::string> words_;  // by rank
  uint64_t shuffle_seed_ = 0;
};

class FrequentWordsTask final : public RulerTask {
 public:
  explicit FrequentWordsTask(int64_t length_tokens)
      : num_ranks_(std::max<int64_t>((length_tokens - kTokensPerRank) / kTokensPerRank, 4)) {}

  std::unique_ptr<RulerDraft> NewDraft(int64_t, Random random) const override {
    return std::make_unique<FrequentWordsDraft>(num_ranks_, random);
  }

 private:
  int64_t num_ranks_;
};

}  // namespace

std::unique_ptr<RulerTask> CreateFrequentWordsTask(int64_t length_tokens) {
  return std::make_unique<FrequentWordsTask>(length_tokens);
}

}  // namespace fastkv
