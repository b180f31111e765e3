// The built-in tasks in the tokens of the model that was trained on them.
#include <gtest/gtest.h>

#include <memory>

#include "eval/fact_marks.h"
#include "eval/needle_tasks.h"
#include "io/json.h"
#include "tests/unpack_testdata.h"
#include "text/tokenizer.h"

namespace fastkv {
namespace {

class NeedleTokenizer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    tokenizer_ = std::move(loaded).value().release();
  }
  static void TearDownTestSuite() { delete std::exchange(tokenizer_, nullptr); }

  static std::vector<int32_t> Encode(const NeedleSample& sample) {
    auto ids = EncodeNeedlePrompt(*tokenizer_, sample);
    EXPECT_TRUE(ids.ok()) << ids.status().message();
    return std::move(ids).value();
  }
  static int64_t CountTokens(std::string_view text) {
    return NeedleTokenCounter(*tokenizer_)(text);
  }

  static Tokenizer* tokenizer_;
};
Tokenizer* NeedleTokenizer::tokenizer_ = nullptr;

TEST_F(NeedleTokenizer, GivesEveryTaskBackByteForByteAtItsLength) {
  for (const std::string_view task : NeedleTaskNames()) {
    for (const int64_t target : {1024, 8192}) {
      const auto sample = MakeNeedleSample(task, target, 1, CountTokens);
      ASSERT_TRUE(sample.ok()) << sample.status().message();
      const std::vector<int32_t> ids = Encode(sample.value());
      EXPECT_EQ(tokenizer_->Decode(ids), sample.value().prompt);
      EXPECT_LE(static_cast<int64_t>(ids.size()), target);
      EXPECT_GE(static_cast<double>(ids.size()), 0.98 * static_cast<double>(target));
    }
  }
}

TEST_F(NeedleTokenizer, GivesTheTokensThatTheModelWasTrainedOn) {
  const auto golden =
      ReadJsonFile(RealFileSystem(),
                   UnpackedTestArchive("needle_golden") + "/needle-16m.expected.json", 64 << 20);
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  const Json& cases = golden.value()["cases"];
  ASSERT_EQ(cases.size(), 6u);
  for (const Json& item : cases) {
    NeedleSample sample;
    sample.prompt = item["prompt"].get<std::string>();
    const size_t context_begin = std::string_view("<|im_start|>user\n").size();
    const size_t context_end = sample.prompt.find("\n\n");
    ASSERT_NE(context_end, sample.prompt.npos);
    sample.context = sample.prompt.substr(context_begin, context_end - context_begin);
    EXPECT_EQ(Encode(sample), item["input_ids"].get<std::vector<int32_t>>());
  }
}

TEST_F(NeedleTokenizer, SentencesKeepTheirTokensInTheContext) {
  const auto sample = MakeNeedleSample("number", 2048, 3, CountTokens);
  ASSERT_TRUE(sample.ok());
  int64_t sum = 0;
  const std::string& context = sample.value().context;
  for (size_t begin = 0; begin < context.size();) {
    const size_t end = context.find('.', begin) + 1;
    sum += CountTokens(std::string_view(context).substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(sum, CountTokens(context));
}

TEST_F(NeedleTokenizer, ChatMarksAreOneTokenEach) {
  const auto sample = MakeNeedleSample("number", 1024, 3, CountTokens);
  ASSERT_TRUE(sample.ok());
  const std::vector<int32_t> ids = Encode(sample.value());
  int64_t num_special = 0;
  for (const int32_t id : ids) num_special += tokenizer_->is_special(id) ? 1 : 0;
  EXPECT_EQ(num_special, 3);
}

TEST_F(NeedleTokenizer, MarksTheTokensOfTheAnswer) {
  const auto sample = MakeNeedleSample("many", 2048, 5, CountTokens);
  ASSERT_TRUE(sample.ok());
  std::vector<std::string> texts;
  Tokenizer::StreamingDecoder decoder(*tokenizer_);
  for (const int32_t id : Encode(sample.value())) texts.push_back(decoder.Take(id));
  const std::vector<MarkedFact> marks = MarkFacts(sample.value(), texts);
  ASSERT_EQ(marks.size(), sample.value().answer_parts.size());
  for (size_t i = 0; i < marks.size(); ++i) {
    std::string value;
    for (int64_t at = marks[i].value.first; at < marks[i].value.end; ++at) {
      value += texts[static_cast<size_t>(at)];
    }
    EXPECT_EQ(value, sample.value().answer_parts[i]);
  }
}

}  // namespace
}  // namespace fastkv
