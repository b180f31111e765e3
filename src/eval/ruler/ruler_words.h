// The words, names and numbers that RULER samples are made of.
#ifndef FASTKV_EVAL_RULER_RULER_WORDS_H_
#define FASTKV_EVAL_RULER_RULER_WORDS_H_

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"

namespace fastkv {

// 7 digits, the first not 0.
std::string RandomNumber7(Random& random);

// Version 4 of RFC 9562 in lower case.
std::string RandomUuid(Random& random);

// `length` letters from `first` ('a' or 'A') on.
std::string RandomLetters(int64_t length, char first, Random& random);

// Pairs of an adjective and a noun, each pair once.
class PairDraws {
 public:
  // How many there are.
  static int64_t Limit();
  // The pair as "adjective-noun" words. REQUIRES: fewer than Limit() were taken.
  std::pair<std::string, std::string> Next(Random& random);

 private:
  std::set<int64_t> used_;
};

// "Two Words", each with a capital.
std::string Capitalized(const std::pair<std::string, std::string>& words);

// Endless prose: sentence i is always the same one. Not thread-safe.
class ProseStream {
 public:
  explicit ProseStream(Random random) : random_(random) {}
  const std::string& Sentence(int64_t index);

 private:
  Random random_;
  std::vector<std::string> sentences_;
};

// "a", "a and b", "a, b and c".
std::string ListedInText(std::span<const std::string> items);

// "1. a 2. b".
std::string NumberedList(std::span<const std::string> items);

template <typename T>
void Shuffle(std::vector<T>& items, Random& random) {
  for (size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[static_cast<size_t>(random.NextInt(static_cast<int64_t>(i)))]);
  }
}

// A uniform draw. REQUIRES: !items.empty().
template <typename T>
const T& DrawFrom(const std::vector<T>& items, Random& random) {
  return items[static_cast<size_t>(random.NextInt(static_cast<int64_t>(items.size())))];
}

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_RULER_WORDS_H_
