#include "eval/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "eval/suite_list.h"
#include "eval/valid_utf8.h"
#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ExcerptAround, ShowsTheSpansAndMarksTheGaps) {
  const std::string text = "0123456789abcdefghij";
  EXPECT_EQ(ExcerptAround(text, {{10, 12}}, 2), " … 89abcd … ");
  EXPECT_EQ(ExcerptAround(text, {{0, 1}}, 2), "012 … ");
  EXPECT_EQ(ExcerptAround(text, {{18, 20}}, 2), " … ghij");
  EXPECT_EQ(ExcerptAround(text, {{12, 13}, {2, 3}}, 1), " … 123 … bcd … ") << "in text order";
  EXPECT_EQ(ExcerptAround(text, {{2, 4}, {5, 7}}, 2), "012345678 … ") << "joined";
  EXPECT_EQ(ExcerptAround(text, {{0, 20}}, 5), text);
  EXPECT_EQ(ExcerptAround(text, {}, 5), "");
}

TEST(ExcerptAround, CutsBetweenCharacters) {
  EXPECT_EQ(ExcerptAround("ääxää", {{4, 5}}, 1), " … äxä … ");
}

TEST(ValidUtf8, ReplacesBrokenBytes) {
  EXPECT_EQ(ValidUtf8("plain"), "plain");
  EXPECT_EQ(ValidUtf8("a\xc3"), "a\xef\xbf\xbd");
  EXPECT_EQ(ValidUtf8("\xff\xfeä"), "\xef\xbf\xbd\xef\xbf\xbdä");
}

TEST(SampleSeed, EveryNameAndSeedHasItsOwn) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (int i = 0; i < 20; ++i) seeds.insert(SampleSeed(seed, "number/4096/" + std::to_string(i)));
  }
  EXPECT_EQ(seeds.size(), 400u);
}

TEST(SuiteRegistry, NamesAreKnownAndDifferent) {
  std::set<std::string_view> names;
  for (const SuiteEntry& entry : RegisteredSuites()) {
    EXPECT_TRUE(names.insert(entry.name).second);
    EXPECT_EQ((*FindSuite(entry.name))->name, entry.name);
  }
  EXPECT_EQ(names.count("needle-tasks"), 1u);
  EXPECT_EQ(names.count("niah"), 1u);
  EXPECT_THAT(FindSuite("needles").status().message(), HasSubstr("needle-tasks"));
}

class SuiteTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    tokenizer_ = std::move(loaded).value().release();
  }
  static void TearDownTestSuite() { delete std::exchange(tokenizer_, nullptr); }

  SuiteOptions Options() { return {.files = &files_, .tokenizer = tokenizer_, .seed = 1}; }

  std::unique_ptr<Suite> Create(const char* name, const SuiteOptions& options) {
    auto suite = (*FindSuite(name))->create(options);
    EXPECT_TRUE(suite.ok()) << suite.status().message();
    return std::move(suite).value();
  }
  static EvalSample Make(const Suite& suite, const SampleKey& key) {
    auto sample = suite.Make(key);
    EXPECT_TRUE(sample.ok()) << sample.status().message();
    return std::move(sample).value();
  }
  static std::string Decode(const std::vector<int32_t>& ids) { return tokenizer_->Decode(ids); }

  MemoryFileSystem files_;
  static Tokenizer* tokenizer_;
};
Tokenizer* SuiteTest::tokenizer_ = nullptr;

TEST_F(SuiteTest, NeedleTasksTakeTurns) {
  SuiteOptions options = Options();
  options.lengths = {256, 512};
  options.num_samples = 2;
  options.tasks = {"number", "many"};
  const auto suite = Create("needle-tasks", options);
  ASSERT_EQ(suite->keys().size(), 8u);
  EXPECT_EQ(suite->keys()[0], (SampleKey{"number", 256, std::nullopt, 0}));
  EXPECT_EQ(suite->keys()[1], (SampleKey{"many", 256, std::nullopt, 0}));
  EXPECT_EQ(suite->keys()[2], (SampleKey{"number", 256, std::nullopt, 1}));
  EXPECT_EQ(suite->keys()[4].length, 512);
  EXPECT_EQ(suite->profile(), "native");
  std::set<std::string> prompts;
  for (const SampleKey& key : suite->keys()) {
    const EvalSample sample = Make(*suite, key);
    EXPECT_LE(static_cast<int64_t>(sample.ids.size()), key.length);
    EXPECT_GE(static_cast<int64_t>(sample.ids.size()), key.length - 24);
    EXPECT_EQ(sample.ids, Make(*suite, key).ids);
    EXPECT_TRUE(prompts.insert(Decode(sample.ids)).second);
    for (const Json& part : sample.expected) {
      EXPECT_THAT(sample.excerpt, HasSubstr(part.get<std::string>()));
    }
  }
}

TEST_F(SuiteTest, TheSeedDecidesTheSamples) {
  SuiteOptions options = Options();
  options.lengths = {256};
  const auto first = Create("needle-tasks", options);
  options.seed = 2;
  const auto second = Create("needle-tasks", options);
  EXPECT_NE(first->Settings(), second->Settings());
  EXPECT_NE(Make(*first, first->keys()[0]).ids, Make(*second, second->keys()[0]).ids);
  EXPECT_EQ(first->keys().size(), 16u * 6) << "all tasks, 16 samples each";
}

TEST_F(SuiteTest, NeedleTasksRefuseWhatTheyCannotMake) {
  SuiteOptions options = Options();
  options.lengths = {255};
  EXPECT_THAT(CreateNeedleSuite(options).status().message(), HasSubstr("at least 256"));
  options.lengths = {256};
  options.tasks = {"numbers"};
  EXPECT_THAT(CreateNeedleSuite(options).status().message(), HasSubstr("values, many, trace"));
}

TEST_F(SuiteTest, NeedleTasksFitIntoAChatTemplate) {
  const auto chat = ChatTemplate::Parse(
      "You answer questions about long texts, and you do it well and in few words.\n"
      "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %} [answer]",
      {});
  ASSERT_TRUE(chat.ok()) << chat.status().message();
  SuiteOptions options = Options();
  options.chat_template = &*chat;
  options.lengths = {400};
  options.num_samples = 1;
  const auto suite = Create("needle-tasks", options);
  for (const SampleKey& key : suite->keys()) {
    const EvalSample sample = Make(*suite, key);
    EXPECT_LE(sample.ids.size(), 400u);
    EXPECT_GE(sample.ids.size(), 360u);
    EXPECT_THAT(Decode(sample.ids), StartsWith("You answer questions"));
    EXPECT_THAT(Decode(sample.ids), HasSubstr(sample.question + " [answer]"));
  }
}

TEST_F(SuiteTest, NeedleTasksScoreBySharesOfParts) {
  const Json expected = Json::array({"1234567", "7654321"});
  const auto score = [&](std::string_view output) {
    return *ScoreNeedleSuite({"many", "native", output, expected});
  };
  EXPECT_EQ(score("1234567, 7654321"), 1);
  EXPECT_EQ(score("7654321"), 0.5);
  EXPECT_EQ(score("none"), 0);
  for (const Json& broken : {Json(), Json::array(), Json::array({1}), Json("1234567")}) {
    EXPECT_EQ(ScoreNeedleSuite({"many", "native", "", broken}).status().code(),
              StatusCode::kFormat);
  }
}

TEST_F(SuiteTest, ANeedleMovesThroughTheSameHaystack) {
  SuiteOptions options = Options();
  options.lengths = {512};
  options.depths = {0, 50, 100};
  options.num_samples = 1;
  const auto suite = Create("niah", options);
  ASSERT_EQ(suite->keys().size(), 3u);
  std::vector<std::string> prompts;
  std::vector<double> places;
  for (const SampleKey& key : suite->keys()) {
    const EvalSample sample = Make(*suite, key);
    EXPECT_LE(sample.ids.size(), 512u);
    EXPECT_GE(sample.ids.size(), 512u - 40);
    const std::string prompt = Decode(sample.ids);
    const std::string value = sample.expected[0].get<std::string>();
    const size_t at = prompt.find(value);
    ASSERT_NE(at, prompt.npos);
    EXPECT_EQ(prompt.find(value, at + 1), prompt.npos) << "once";
    EXPECT_THAT(sample.excerpt, HasSubstr(value));
    places.push_back(static_cast<double>(at) / static_cast<double>(prompt.size()));
    prompts.push_back(prompt);
  }
  EXPECT_LT(places[0], 0.1);
  EXPECT_NEAR(places[1], 0.5, 0.15);
  EXPECT_GT(places[2], 0.8);
  EXPECT_EQ(prompts[0].size(), prompts[1].size()) << "the same sentences in another order";
}

TEST_F(SuiteTest, ThePublishedNeedleTestFollowsItsTexts) {
  std::string essay;
  for (int i = 0; i < 40; ++i) essay += "The miller sold a lantern at noon in Harrow. ";
  files_.Put("repo/a.txt", essay);
  files_.Put("repo/run_needle_in_haystack.py",
             "needle='\\nThe best thing in Harrow is a walk.\\n'\n"
             "retrieval_question='The best thing in Harrow is: '\n"
             "p = f'<book> {context} </book> {self.retrieval_question}\\nAnswer:'\n");
  SuiteOptions options = Options();
  options.data_folder = "repo";
  options.lengths = {600};
  options.depths = {0, 50, 100};
  const auto suite = Create("niah", options);
  EXPECT_EQ(suite->profile(), "fastkv");
  ASSERT_EQ(suite->keys().size(), 3u);
  for (const SampleKey& key : suite->keys()) {
    const EvalSample sample = Make(*suite, key);
    const std::string prompt = Decode(sample.ids);
    EXPECT_THAT(prompt, StartsWith("<book> "));
    EXPECT_THAT(prompt, HasSubstr("</book> The best thing in Harrow is: \nAnswer:"));
    EXPECT_THAT(prompt, HasSubstr("\nThe best thing in Harrow is a walk.\n"));
    EXPECT_LE(sample.ids.size(), 600u - 200 + 40) << "the buffer stays free";
    EXPECT_GE(sample.ids.size(), 600u - 200 - 20) << "the essay is repeated";
    EXPECT_EQ(sample.stops, std::vector<std::string>{"\n"});
    EXPECT_EQ(sample.max_new_tokens, 30);
    const size_t at = prompt.find("\nThe best thing");
    EXPECT_TRUE(*key.depth == 0 || prompt[at - 1] == '.' || *key.depth == 100)
        << "between sentences";
    const Json& expected = sample.expected;
    EXPECT_EQ(*ScoreNiahSuite({"needle", "fastkv", " a walk.\n", expected}), 1);
    EXPECT_EQ(*ScoreNiahSuite({"needle", "fastkv", "A ride", expected}), 0.5);
    EXPECT_EQ(*ScoreNiahSuite({"needle", "fastkv", "", expected}), 0);
  }
  const Json settings = suite->Settings();
  files_.Put("repo/a.txt", essay + "More.");
  EXPECT_NE(Create("niah", options)->Settings(), settings) << "other data";
  options.num_samples = 2;
  EXPECT_THAT(CreateNiahSuite(options).status().message(), HasSubstr("--samples"));
}

TEST_F(SuiteTest, NiahRefusesWhatItCannotMake) {
  SuiteOptions options = Options();
  options.depths = {101};
  EXPECT_THAT(CreateNiahSuite(options).status().message(), HasSubstr("0 to 100, got 101"));
  options.depths = {50};
  options.lengths = {100};
  EXPECT_THAT(CreateNiahSuite(options).status().message(), HasSubstr("at least 256"));
  options.lengths = {};
  options.tasks = {"number"};
  EXPECT_THAT(CreateNiahSuite(options).status().message(), HasSubstr("needle"));
  EXPECT_EQ(ScoreNiahSuite({"needle", "fastkv", "", Json(1)}).status().code(), StatusCode::kFormat);
}

}  // namespace
}  // namespace fastkv
