#include "eval/suites/benchmark_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "eval/suites/python_format.h"

namespace fastkv {
namespace {

using testing::StartsWith;

class BenchmarkPromptTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    tokenizer_ = std::move(loaded).value().release();
  }
  static void TearDownTestSuite() { delete std::exchange(tokenizer_, nullptr); }

  void SetUp() override {
    auto chat = ChatTemplate::Parse(
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{{ '<|im_start|>assistant\\n' }}",
        {});
    ASSERT_TRUE(chat.ok()) << chat.status().message();
    chat_.emplace(std::move(chat).value());
  }

  static std::vector<int32_t> Encode(std::string_view text) {
    return tokenizer_->Encode(text, {.add_special_tokens = true}).value();
  }

  BenchmarkPrompt Make(const BenchmarkSample& sample, BenchmarkProfile profile,
                       int64_t max_tokens = 1000, bool with_chat = true) const {
    auto prompt =
        MakeBenchmarkPrompt(sample, profile, max_tokens,
                            {.tokenizer = tokenizer_, .chat = with_chat ? &*chat_ : nullptr});
    EXPECT_TRUE(prompt.ok()) << prompt.status().message();
    return std::move(prompt).value();
  }
  std::string Text(const BenchmarkPrompt& prompt) const { return tokenizer_->Decode(prompt.ids); }

  static Tokenizer* tokenizer_;
  std::optional<ChatTemplate> chat_;
  const BenchmarkSample sample_{.prompt = "the first word and a long way to the last word here",
                                .answer_prefix = "So:"};
};
Tokenizer* BenchmarkPromptTest::tokenizer_ = nullptr;

TEST_F(BenchmarkPromptTest, ThePrefixStandsWhereTheProfileSays) {
  EXPECT_EQ(Text(Make(sample_, BenchmarkProfile::kOfficial)),
            "<|im_start|>user\n" + sample_.prompt + "<|im_end|>\n<|im_start|>assistant\nSo:");
  EXPECT_EQ(Text(Make(sample_, BenchmarkProfile::kFastkv)),
            "<|im_start|>user\n" + sample_.prompt + "So:<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(Text(Make(sample_, BenchmarkProfile::kOfficial, 1000, /*with_chat=*/false)),
            sample_.prompt + "So:");
  BenchmarkSample plain = sample_;
  plain.use_chat = false;
  EXPECT_EQ(Text(Make(plain, BenchmarkProfile::kFastkv)), sample_.prompt + "So:");
}

TEST_F(BenchmarkPromptTest, PromptsThatFitStayWhole) {
  const auto num_tokens = static_cast<int64_t>(Encode(sample_.prompt).size());
  for (const BenchmarkProfile profile : {BenchmarkProfile::kOfficial, BenchmarkProfile::kFastkv}) {
    BenchmarkSample plain = sample_;
    plain.answer_prefix = "";
    const BenchmarkPrompt prompt = Make(plain, profile, num_tokens, /*with_chat=*/false);
    EXPECT_FALSE(prompt.is_cut);
    EXPECT_EQ(prompt.full_tokens, num_tokens);
    EXPECT_EQ(prompt.ids, Encode(sample_.prompt));
  }
}

TEST_F(BenchmarkPromptTest, OfficialCutsTheMiddleBeforeItWraps) {
  const std::vector<int32_t> ids = Encode(sample_.prompt);
  const auto half = [&](size_t begin, size_t end) {
    return tokenizer_->Decode(std::span(ids).subspan(begin, end - begin), true);
  };
  // An odd limit loses one more.
  for (const int64_t max_tokens : {6, 7}) {
    const BenchmarkPrompt prompt = Make(sample_, BenchmarkProfile::kOfficial, max_tokens);
    EXPECT_TRUE(prompt.is_cut);
    EXPECT_EQ(prompt.full_tokens, static_cast<int64_t>(ids.size()));
    EXPECT_EQ(Text(prompt), "<|im_start|>user\n" + half(0, 3) + half(ids.size() - 3, ids.size()) +
                                "<|im_end|>\n<|im_start|>assistant\nSo:");
  }
}

TEST_F(BenchmarkPromptTest, FastkvCutsTheMarkupToo) {
  const BenchmarkPrompt whole = Make(sample_, BenchmarkProfile::kFastkv);
  const BenchmarkPrompt prompt = Make(sample_, BenchmarkProfile::kFastkv, whole.full_tokens - 2);
  EXPECT_TRUE(prompt.is_cut);
  EXPECT_EQ(prompt.full_tokens, static_cast<int64_t>(whole.ids.size()));
  EXPECT_EQ(Text(prompt).find("<|im_"), std::string::npos);
  EXPECT_THAT(Text(prompt), StartsWith("user\nthe first word"));
}

TEST_F(BenchmarkPromptTest, TheContextEndsBeforeTheQuestion) {
  BenchmarkSample sample = sample_;
  const std::string question = " last word here";
  sample.question_bytes = static_cast<int64_t>(question.size());
  const auto context_of = [&](BenchmarkProfile profile, int64_t max_tokens, bool with_chat) {
    const BenchmarkPrompt prompt = Make(sample, profile, max_tokens, with_chat);
    const auto num_tokens = ContextTokensOf(
        prompt, sample, profile, {.tokenizer = tokenizer_, .chat = with_chat ? &*chat_ : nullptr});
    EXPECT_TRUE(num_tokens.ok()) << num_tokens.status().message();
    return tokenizer_->Decode(std::span(prompt.ids).first(static_cast<size_t>(*num_tokens)));
  };
  const std::string context = sample_.prompt.substr(0, sample_.prompt.size() - question.size());
  for (const BenchmarkProfile profile : {BenchmarkProfile::kOfficial, BenchmarkProfile::kFastkv}) {
    EXPECT_EQ(context_of(profile, 1000, true), "<|im_start|>user\n" + context);
    EXPECT_EQ(context_of(profile, 1000, false), context);
  }
  const std::string cut = context_of(BenchmarkProfile::kOfficial, 8, true);
  EXPECT_THAT(cut, StartsWith("<|im_start|>user\nthe first"));
  EXPECT_LT(cut.size(), ("<|im_start|>user\n" + context).size());
  EXPECT_EQ(context_of(BenchmarkProfile::kOfficial, 2, true), "") << "the question itself is cut";
  EXPECT_EQ(context_of(BenchmarkProfile::kFastkv, 8, true), "") << "the markup was cut";
  sample.question_bytes = 0;
  EXPECT_EQ(context_of(BenchmarkProfile::kOfficial, 1000, true), "") << "no question is known";
}

TEST_F(BenchmarkPromptTest, CountsWhatStandsBehindTheContext) {
  const FormatFields fields = {{"context", "a {b}"}, {"input", "who?"}};
  EXPECT_EQ(*BytesBehindField("{input} of {context}.{{}} {input}", "context", fields), 8);
  EXPECT_EQ(*BytesBehindField("{context}", "context", fields), 0);
  EXPECT_EQ(*BytesBehindField("{input}", "context", fields), 0) << "it is not there";
  EXPECT_FALSE(BytesBehindField("{context}{other}", "context", fields).ok());
}

TEST_F(BenchmarkPromptTest, KnowsTheLimitsOfFastkvsScripts) {
  EXPECT_EQ(FastkvPromptLimit("models/Llama-3.1-8B-Instruct"), 127500);
  EXPECT_EQ(FastkvPromptLimit("Mistral-Nemo"), 127500);
  EXPECT_EQ(FastkvPromptLimit("llama3-8b"), 7950);
  EXPECT_EQ(FastkvPromptLimit("llama2-7b"), 3950);
  EXPECT_EQ(FastkvPromptLimit("needle-16m"), std::nullopt);
}

}  // namespace
}  // namespace fastkv
