// The behaviour around the model: special tokens and trust, segments, decoding as a stream.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/random.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Characters a to e, space, mark and bytes; ab, abc, de and "_a" merge. Two special tokens and a
// plain added one.
TokenizerSpec SmallSpec() {
  TokenizerSpec spec;
  const std::vector<std::string> tokens = {"<unk>", "a",   "b",  "c",  "d", "e", "_",
                                           "ab",    "abc", "de", "_a", "<", "s", ">"};
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_TRUE(spec.vocabulary.Add(tokens[i], static_cast<int64_t>(i)).ok());
  }
  spec.merges = {{1, 2}, {7, 3}, {4, 5}, {6, 1}};
  spec.unknown_id = 0;
  const auto add = [&](const char* content, int32_t id, bool special) {
    AddedTokenSpec token;
    token.id = id;
    token.content = content;
    token.special = special;
    spec.added_tokens.push_back(token);
  };
  add("<s>", 14, true);
  add("</s>", 15, true);
  add("<tool>", 16, false);
  spec.bos_id = 14;
  spec.eos_id = 15;
  spec.prefix_ids = {14};
  spec.decoders.emplace();
  return spec;
}

std::unique_ptr<Tokenizer> Make(TokenizerSpec spec) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Create(std::move(spec));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return std::move(tokenizer).value();
}

TEST(TokenizerTest, Accessors) {
  const auto tokenizer = Make(SmallSpec());
  EXPECT_EQ(tokenizer->vocab_size(), 17);
  EXPECT_EQ(tokenizer->TokenToId("abc"), 8);
  EXPECT_EQ(tokenizer->TokenToId("<tool>"), 16);
  EXPECT_FALSE(tokenizer->TokenToId("x").has_value());
  EXPECT_EQ(tokenizer->IdToToken(15), "</s>");
  EXPECT_EQ(tokenizer->IdToToken(17), "");
  EXPECT_EQ(tokenizer->IdToToken(-1), "");
  EXPECT_TRUE(tokenizer->is_special(14));
  EXPECT_FALSE(tokenizer->is_special(16));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_FALSE(tokenizer->is_special(1 << 30));
  EXPECT_EQ(tokenizer->bos_id(), 14);
  EXPECT_EQ(tokenizer->eos_id(), 15);
}

TEST(TokenizerTest, SpecialTokensOnRequest) {
  const auto tokenizer = Make(SmallSpec());
  EXPECT_THAT(*tokenizer->Encode("abcde", {}), ElementsAre(8, 9));
  EXPECT_THAT(*tokenizer->Encode("abcde", {.add_special_tokens = true}), ElementsAre(14, 8, 9));
  EXPECT_THAT(*tokenizer->Encode("a<s>b", {}), ElementsAre(1, 14, 2));
  EXPECT_THAT(*tokenizer->Encode("a<s><tool>", {.parse_special = false}),
              ElementsAre(1, 11, 12, 13, 16))
      << "ordinary added tokens stay";
}

TEST(TokenizerTest, InvalidUtf8IsNamedByItsOffset) {
  const auto tokenizer = Make(SmallSpec());
  const auto ids = tokenizer->Encode("abc\xff", {});
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(ids.status().message(), HasSubstr("byte 3"));
}

std::vector<int32_t> EncodeSegments(const Tokenizer& tokenizer, std::vector<TextSegment> segments) {
  const auto ids = tokenizer.Encode(segments, {});
  EXPECT_TRUE(ids.ok()) << ids.status().message();
  return *ids;
}

TEST(TokenizerTest, UntrustedTextSpellsNoSpecialToken) {
  const auto tokenizer = Make(SmallSpec());
  EXPECT_THAT(EncodeSegments(*tokenizer, {{"<s>", true}, {"<s>", false}, {"<s>", true}}),
              ElementsAre(14, 11, 12, 13, 14));
  EXPECT_THAT(EncodeSegments(*tokenizer, {{"<", true}, {"s", false}, {">", true}}),
              ElementsAre(11, 12, 13));
  EXPECT_THAT(EncodeSegments(*tokenizer, {{"<", true}, {"s>", true}}), ElementsAre(14))
      << "all of it is trusted";
  EXPECT_THAT(EncodeSegments(*tokenizer, {{"<tool>", false}}), ElementsAre(16));
}

TEST(TokenizerTest, SegmentBordersDoNotCutMerges) {
  const auto tokenizer = Make(SmallSpec());
  EXPECT_THAT(EncodeSegments(*tokenizer,
                             {{"a", true}, {"b", false}, {"", false}, {"cd", true}, {"e", false}}),
              ElementsAre(8, 9));
}

TEST(TokenizerTest, TrustSurvivesTheNormalizer) {
  TokenizerSpec spec = SmallSpec();
  for (AddedTokenSpec& token : spec.added_tokens) token.normalized = true;
  NormalizerSpec lowercase;
  lowercase.kind = NormalizerKind::kLowercase;
  spec.normalizers = {lowercase};
  const auto tokenizer = Make(std::move(spec));
  EXPECT_THAT(*tokenizer->Encode("<S>", {}), ElementsAre(14));
  EXPECT_THAT(EncodeSegments(*tokenizer, {{"<S>", true}, {"<S>", false}}),
              ElementsAre(14, 11, 12, 13));
  EXPECT_THAT(EncodeSegments(*tokenizer, {{"<", true}, {"S", false}, {">", true}}),
              ElementsAre(11, 12, 13));
  EXPECT_THAT(*tokenizer->Encode("<S>", {.parse_special = false}), ElementsAre(11, 12, 13));
}

// A model may hold its control tokens among its own and even have merges that lead to them.
TEST(TokenizerTest, NoMergeMakesASpecialToken) {
  TokenizerSpec spec = SmallSpec();
  ASSERT_TRUE(spec.vocabulary.Add("<s", 14).ok());
  ASSERT_TRUE(spec.vocabulary.Add("<s>", 15).ok());
  spec.merges = {{11, 12}, {14, 13}};
  spec.added_tokens.resize(1);
  spec.added_tokens[0].id = 15;
  spec.bos_id = spec.eos_id = 15;
  spec.prefix_ids = {};
  spec.ignore_merges = true;
  const auto tokenizer = Make(std::move(spec));
  EXPECT_THAT(*tokenizer->Encode("<s>", {}), ElementsAre(15));
  EXPECT_THAT(*tokenizer->Encode("<s>", {.parse_special = false}), ElementsAre(14, 13));
}

TEST(TokenizerTest, DecodeLeavesSpecialTokensOutOnRequest) {
  const auto tokenizer = Make(SmallSpec());
  const std::vector<int32_t> ids = {14, 8, 16, 99, -1, 15};
  EXPECT_EQ(tokenizer->Decode(ids), "<s>abc<tool></s>");
  EXPECT_EQ(tokenizer->Decode(ids, /*skip_special=*/true), "abc<tool>");
}

TEST(TokenizerTest, UnknownCharactersAreOneTokenOrMany) {
  TokenizerSpec spec = SmallSpec();
  EXPECT_THAT(*Make(std::move(spec))->Encode("axyb", {}), ElementsAre(1, 0, 0, 2));
  spec = SmallSpec();
  spec.fuse_unknown = true;
  EXPECT_THAT(*Make(std::move(spec))->Encode("axyb", {}), ElementsAre(1, 0, 2));
  spec = SmallSpec();
  spec.unknown_id.reset();
  EXPECT_THAT(*Make(std::move(spec))->Encode("axyb", {}), ElementsAre(7))
      << "a character that nothing stands for is gone, as in the reference";
}

TEST(TokenizerTest, AStreamIsTheWholeInWholeCharacters) {
  const auto tokenizer = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  Random random(5);
  for (int round = 0; round < 500; ++round) {
    std::vector<int32_t> ids(static_cast<size_t>(random.NextInt(20)));
    for (int32_t& id : ids) id = static_cast<int32_t>(random.NextInt(400));
    for (const bool skip_special : {false, true}) {
      Tokenizer::StreamingDecoder decoder(**tokenizer, skip_special);
      std::string text;
      for (const int32_t id : ids) {
        const std::string part = decoder.Take(id);
        EXPECT_FALSE(FindInvalidUtf8(part));
        text += part;
      }
      text += decoder.Finish();
      ASSERT_EQ(text, (*tokenizer)->Decode(ids, skip_special));
    }
  }
}

TEST(TokenizerTest, ThreadsMayEncodeAtTheSameTime) {
  const auto tokenizer = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const std::string text = "The secret number of crimson-walnut is 1234567.";
  const std::vector<int32_t> expected = *(*tokenizer)->Encode(text, {});
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t i = 0; i < wrong.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 200; ++round) {
        wrong[i] += *(*tokenizer)->Encode(text, {}) != expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST(TokenizerTest, LongHostileTextsEnd) {
  const auto tokenizer = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  std::string marks;
  for (int i = 0; i < 500'000; ++i) marks += "\u0301\u0316";
  for (const std::string& text :
       {std::string(2'000'000, 'a'), std::string(2'000'000, ' '), marks}) {
    const auto ids = (*tokenizer)->Encode(text, {});
    ASSERT_TRUE(ids.ok()) << ids.status().message();
    EXPECT_EQ((*tokenizer)->Decode(*ids), text);
  }
}

TEST(TokenizerTest, SenselessDescriptionsAreRefused) {
  const auto code = [](TokenizerSpec spec) {
    return Tokenizer::Create(std::move(spec)).status().code();
  };
  EXPECT_EQ(code({}), StatusCode::kFormat) << "no tokens";
  TokenizerSpec spec = SmallSpec();
  spec.added_tokens[2].id = 20;
  EXPECT_EQ(code(std::move(spec)), StatusCode::kFormat) << "a hole before the last id";
  spec = SmallSpec();
  spec.added_tokens[2].id = 15;
  EXPECT_EQ(code(std::move(spec)), StatusCode::kFormat) << "an id twice";
  spec = SmallSpec();
  spec.added_tokens[2].id = 3;
  EXPECT_EQ(code(std::move(spec)), StatusCode::kFormat) << "an id of another token";
  spec = SmallSpec();
  spec.added_tokens[0].content = std::string(600, 'x');
  EXPECT_EQ(code(std::move(spec)), StatusCode::kLimit);
  spec = SmallSpec();
  spec.merges.push_back({1, 99});
  EXPECT_EQ(code(std::move(spec)), StatusCode::kFormat) << "no such token";
  spec = SmallSpec();
  spec.merges.push_back({1, 5});
  EXPECT_EQ(code(std::move(spec)), StatusCode::kFormat) << "no token \"ae\"";
  spec = SmallSpec();
  spec.prefix_ids = {17};
  EXPECT_EQ(code(std::move(spec)), StatusCode::kFormat);
  spec = SmallSpec();
  spec.eos_id = -1;
  EXPECT_EQ(code(std::move(spec)), StatusCode::kFormat);
}

}  // namespace
}  // namespace fastkv
