#include "text/bpe_word.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/random.h"
#include "text/tokenizer_spec.h"

namespace fastkv {
namespace {

// The definition: again and again the pair of lowest rank, the leftmost of them.
std::vector<int32_t> EncodePlainly(const BpeMergeTable& merges, std::vector<int32_t> tokens) {
  while (true) {
    size_t best = tokens.size();
    uint32_t best_rank = BpeMergeTable::kNoRank;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const uint32_t rank = merges.Find(tokens[i], tokens[i + 1]).rank;
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best == tokens.size()) return tokens;
    tokens[best] = merges.Find(tokens[best], tokens[best + 1]).product;
    tokens.erase(tokens.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

// Rules over a few symbols in random order, so that merges often open pairs of lower rank than
// their own. Every product is a text of its own, as in a real vocabulary.
BpeMergeTable RandomMerges(Random& random, int64_t num_symbols, size_t num_merges) {
  std::vector<std::string> texts;
  for (int64_t i = 0; i < num_symbols; ++i) texts.emplace_back(1, static_cast<char>('a' + i));
  std::vector<MergeSpec> rules;
  while (rules.size() < num_merges) {
    const auto left = static_cast<int32_t>(random.NextInt(static_cast<int64_t>(texts.size())));
    const auto right = static_cast<int32_t>(random.NextInt(static_cast<int64_t>(texts.size())));
    const std::string text = texts[static_cast<size_t>(left)] + texts[static_cast<size_t>(right)];
    if (text.size() > 12) continue;
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
    rules.push_back({left, right});
  }
  for (size_t i = rules.size() - 1; i > 0; --i) {
    std::swap(rules[i], rules[static_cast<size_t>(random.NextInt(static_cast<int64_t>(i) + 1))]);
  }
  BpeMergeTable merges(rules.size());
  for (size_t rank = 0; rank < rules.size(); ++rank) {
    const std::string text = texts[static_cast<size_t>(rules[rank].left)] +
                             texts[static_cast<size_t>(rules[rank].right)];
    const auto product = std::find(texts.begin(), texts.end(), text) - texts.begin();
    merges.Insert(rules[rank].left, rules[rank].right,
                  {static_cast<uint32_t>(rank), static_cast<int32_t>(product)});
  }
  return merges;
}

TEST(BpeWordTest, AgreesWithTheDefinition) {
  Random random(7);
  BpeWordEncoder encoder;
  for (int round = 0; round < 400; ++round) {
    const int64_t num_symbols = 1 + random.NextInt(4);
    const BpeMergeTable merges =
        RandomMerges(random, num_symbols, static_cast<size_t>(1 + random.NextInt(40)));
    std::vector<int32_t> symbols(static_cast<size_t>(random.NextInt(300)));
    for (int32_t& symbol : symbols) symbol = static_cast<int32_t>(random.NextInt(num_symbols));
    const std::vector<int32_t> expected = EncodePlainly(merges, symbols);
    std::vector<int32_t> ids = {-5};
    encoder.Encode(merges, symbols, ids);
    ASSERT_EQ(ids.front(), -5) << "what was there before must stay";
    ids.erase(ids.begin());
    ASSERT_EQ(ids, expected) << "round " << round;
  }
}

TEST(BpeWordTest, ALongWordOfOneLetterIsCutFromTheLeft) {
  BpeMergeTable merges(2);
  merges.Insert(0, 0, {0, 1});
  merges.Insert(1, 1, {1, 2});
  std::vector<int32_t> symbols(1'000'003, 0);
  std::vector<int32_t> ids;
  BpeWordEncoder().Encode(merges, symbols, ids);
  ASSERT_EQ(ids.size(), 250'002u);
  EXPECT_EQ(ids[249'999], 2);
  EXPECT_EQ(ids[250'000], 1);
  EXPECT_EQ(ids[250'001], 0);
}

TEST(BpeWordTest, NoSymbolsGiveNoTokens) {
  std::vector<int32_t> symbols;
  std::vector<int32_t> ids;
  BpeWordEncoder().Encode(BpeMergeTable(0), symbols, ids);
  EXPECT_TRUE(ids.empty());
}

}  // namespace
}  // namespace fastkv
