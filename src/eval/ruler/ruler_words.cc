#include "eval/ruler/ruler_words.h"

#include <cctype>
#include <utility>

#include "base/check.h"
#include "eval/grammar.h"

namespace fastkv {
namespace {

// One-word entries of some lists of the grammar, all lower case.
std::vector<std::string> WordsOf(std::initializer_list<std::string_view> lists) {
  std::set<std::string> words;
  for (const std::string_view list : lists) {
    for (const std::string& entry : Grammar::BuiltIn().List(list)) {
      if (entry.find(' ') == entry.npos) words.insert(entry);
    }
  }
  return {words.begin(), words.end()};
}

struct PairWords {
  std::vector<std::string> adjectives = WordsOf({"key_adjective", "quality"});
  std::vector<std::string> nouns = WordsOf({"key_noun", "role", "thing"});
};

const PairWords& Words() {
  static const PairWords words;
  return words;
}

std::string Capital(std::string word) {
  word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
  return word;
}

}  // namespace

std::string RandomNumber7(Random& random) {
  return std::to_string(1'000'000 + random.NextInt(9'000'000));
}

std::string RandomUuid(Random& random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::string_view kVariant = "89ab";
  std::string uuid = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  for (char& c : uuid) {
    if (c == 'x') c = kHex[static_cast<size_t>(random.NextInt(16))];
    if (c == 'y') c = kVariant[static_cast<size_t>(random.NextInt(4))];
  }
  return uuid;
}

std::string RandomLetters(int64_t length, char first, Random& random) {
  std::string letters;
  for (int64_t i = 0; i < length; ++i) letters += static_cast<char>(first + random.NextInt(26));
  return letters;
}

int64_t PairDraws::Limit() {
  return static_cast<int64_t>(Words().adjectives.size() * Words().nouns.size());
}

std::pair<std::string, std::string> PairDraws::Next(Random& random) {
  const int64_t limit = Limit();
  FASTKV_CHECK_LT(static_cast<int64_t>(used_.size()), limit);
  int64_t pair = random.NextInt(limit);
  while (!used_.insert(pair).second) pair = (pair + 1) % limit;
  const auto num_nouns = static_cast<int64_t>(Words().nouns.size());
  return {Words().adjectives[static_cast<size_t>(pair / num_nouns)],
          Words().nouns[static_cast<size_t>(pair % num_nouns)]};
}

std::string Capitalized(const std::pair<std::string, std::string>& words) {
  return Capital(words.first) + " " + Capital(words.second);
}

const std::string& ProseStream::Sentence(int64_t index) {
  const Grammar& grammar = Grammar::BuiltIn();
  while (static_cast<int64_t>(sentences_.size()) <= index) {
    sentences_.push_back(grammar.Fill(grammar.Draw("prose", random_), {}, random_));
  }
  return sentences_[static_cast<size_t>(index)];
}

std::string ListedInText(std::span<const std::string> items) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += i + 1 == items.size() ? " and " : ", ";
    text += items[i];
  }
  return text;
}

std::string NumberedList(std::span<const std::string> items) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += ' ';
    text += std::to_string(i + 1) + ". " + items[i];
  }
  return text;
}

}  // namespace fastkv
