#include "eval/ruler/common_words.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "eval/grammar.h"
#include "eval/ruler/ruler_words.h"

namespace fastkv {
namespace {

constexpr size_t kNumCommon = 10;

// How long the lists are (scripts/data/synthetic/common_words_extraction.py).
struct ListSizes {
  size_t example_words;  // the common ones included
  int64_t example_common_times;
  int64_t example_other_times;
  int64_t common_times;
  int64_t other_times;
};
constexpr ListSizes kUsual = {40, 10, 3, 30, 3};
constexpr ListSizes kShort = {20, 3, 1, 6, 1};
constexpr int64_t kUsualFromTokens = 4096;

// Words in use are drawn from that many of the cheapest ones, so that samples differ but the
// shortest list still fits.
constexpr size_t kNumCheapWords = 120;

// Short words of the grammar, mostly one token each.
std::vector<std::string> RealWords() {
  std::set<std::string> words;
  for (const std::string_view list : {"key_noun", "key_adjective", "role", "thing", "quality"}) {
    for (const std::string& word : Grammar::BuiltIn().List(list)) {
      if (word.find(' ') == word.npos) words.insert(word);
    }
  }
  return {words.begin(), words.end()};
}

constexpr std::string_view kConsonants = "bdfgklmnprstvz";
constexpr std::string_view kVowels = "aeiou";
constexpr int64_t kNumSyllables = 14 * 5;

// A made-up word like "bako" or "bakoru"; there are far more than a list of any length needs.
std::string SyllableWord(Random& random) {
  std::string word;
  const int64_t num_syllables = 2 + random.NextInt(2);
  for (int64_t i = 0; i < num_syllables; ++i) {
    const auto syllable = static_cast<size_t>(random.NextInt(kNumSyllables));
    word += kConsonants[syllable / kVowels.size()];
    word += kVowels[syllable % kVowels.size()];
  }
  return word;
}
constexpr int64_t kMaxSyllableWords = kNumSyllables * kNumSyllables * kNumSyllables / 4;

void AddTimes(int64_t times, const std::string& word, std::vector<std::string>& list) {
  list.insert(list.end(), static_cast<size_t>(times), word);
}

class CommonWordsDraft final : public RulerDraft {
 public:
  CommonWordsDraft(const std::vector<std::string>& real_words, const ListSizes& sizes,
                   Random random)
      : sizes_(sizes), random_(random) {
    std::vector<std::string> cheap(real_words.begin(), real_words.begin() + kNumCheapWords);
    Shuffle(cheap, random_);
    const auto example_end = cheap.begin() + static_cast<std::ptrdiff_t>(sizes.example_words);
    const std::vector<std::string> example_words(cheap.begin(), example_end);
    common_.assign(example_end, example_end + kNumCommon);
    others_.assign(example_end + kNumCommon, cheap.end());
    std::vector<std::string> rest(real_words.begin() + kNumCheapWords, real_words.end());
    Shuffle(rest, random_);
    others_.insert(others_.end(), rest.begin(), rest.end());
    used_.insert(real_words.begin(), real_words.end());
    MakeExample(example_words);
    shuffle_seed_ = random_.NextUint64();
  }

  int64_t min_units() const override { return 1; }
  int64_t max_units() const override { return kMaxSyllableWords; }

  // A unit is a word that is not common.
  RulerText Text(int64_t num_units) override {
    std::vector<std::string> list;
    for (const std::string& word : common_) AddTimes(sizes_.common_times, word, list);
    for (int64_t i = 0; i < num_units; ++i) {
      AddTimes(sizes_.other_times, Other(i), list);
    }
    Random shuffling(shuffle_seed_);
    Shuffle(list, shuffling);
    RulerText text;
    text.input = example_ + NumberedList(list) + Question();
    text.answer_prefix = AnswerBegin();
    text.outputs = common_;
    return text;
  }

 private:
  static std::string Question() { return "\nQuestion: Which ten words are the most common?\n"; }
  static std::string AnswerBegin() { return "Answer: The ten most common words are:"; }

  const std::string& Other(int64_t index) {
    while (static_cast<int64_t>(others_.size()) <= index) {
      std::string word = SyllableWord(random_);
      if (used_.insert(word).second) others_.push_back(std::move(word));
    }
    return others_[static_cast<size_t>(index)];
  }

  void MakeExample(const std::vector<std::string>& words) {
    std::vector<std::string> list;
    for (size_t i = 0; i < words.size(); ++i) {
      AddTimes(i < kNumCommon ? sizes_.example_common_times : sizes_.example_other_times, words[i],
               list);
    }
    Shuffle(list, random_);
    example_ = "Some words of the list come again more often than others.\n" + NumberedList(list) +
               Question() + AnswerBegin() + " " + NumberedList(std::span(words).first(kNumCommon)) +
               "\n\n";
  }

  ListSizes sizes_;
  Random random_;
  std::vector<std::string> common_;
  std::vector<std::string> others_;  // as many as were asked for
  std::set<std::string> used_;
  std::string example_;
  uint64_t shuffle_seed_ = 0;
};

class CommonWordsTask final : public RulerTask {
 public:
  CommonWordsTask(int64_t length_tokens, const TokenCounter& count_tokens)
      : sizes_(length_tokens < kUsualFromTokens ? kShort : kUsual) {
    std::vector<std::pair<int64_t, std::string>> priced;
    for (std::string& word : RealWords()) {
      const int64_t price = count_tokens("1. " + word + " 2.");
      priced.emplace_back(price, std::move(word));
    }
    FASTKV_CHECK_GT(priced.size(), kNumCheapWords);
    std::sort(priced.begin(), priced.end());
    for (auto& [price, word] : priced) real_words_.push_back(std::move(word));
  }

  std::unique_ptr<RulerDraft> NewDraft(int64_t, Random random) const override {
    return std::make_unique<CommonWordsDraft>(real_words_, sizes_, random);
  }

 private:
  ListSizes sizes_;
  std::vector<std::string> real_words_;  // those of the fewest tokens first
};

}  // namespace

std::unique_ptr<RulerTask> CreateCommonWordsTask(int64_t length_tokens,
                                                 const TokenCounter& count_tokens) {
  return std::make_unique<CommonWordsTask>(length_tokens, count_tokens);
}

}  // namespace fastkv
