// Questions about one context, in runs whose methods compress it once for all of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/model_shape.h"
#include "eval/engine_prompt_runner.h"
#include "eval/suite_list.h"
#include "io/file.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kQuestions = 3;
constexpr int64_t kMaxNewTokens = 5;  // a few show a difference as well as a whole answer

class SharedContextTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto engine = Engine::Load(RealFileSystem(),
                               {.model_path = "models/needle-16m",
                                .device = "cpu",
                                .num_threads = 1,
                                .compute_type = ComputeType::kF32},
                               nullptr);
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    engine_ = std::move(engine).value().release();
    auto chat = ChatTemplate::Load(RealFileSystem(), "models/needle-16m");
    ASSERT_TRUE(chat.ok()) << chat.status().message();
    chat_ = new ChatTemplate(std::move(chat).value());
  }
  static void TearDownTestSuite() {
    delete std::exchange(chat_, nullptr);
    delete std::exchange(engine_, nullptr);
  }

  static const Tokenizer& tokenizer() { return *engine_->tokenizer().value(); }

  static SuiteOptions Options() {
    return {.tokenizer = &tokenizer(),
            .tasks = {"number"},
            .lengths = {256},
            .num_samples = kQuestions + 1,
            .seed = 1,
            .share_context = true,
            .questions_per_context = kQuestions};
  }

  static std::vector<EvalSample> Samples(const SuiteOptions& options) {
    auto suite = CreateNeedleSuite(options);
    EXPECT_TRUE(suite.ok()) << suite.status().message();
    std::vector<EvalSample> samples;
    for (const SampleKey& key : (*suite)->keys()) {
      auto sample = (*suite)->Make(key);
      EXPECT_TRUE(sample.ok()) << sample.status().message();
      sample->max_new_tokens = kMaxNewTokens;
      samples.push_back(std::move(sample).value());
    }
    return samples;
  }

  static std::vector<int32_t> ContextOf(const EvalSample& sample) {
    return {sample.ids.begin(), sample.ids.begin() + sample.context_tokens};
  }

  static std::vector<EvalRun> Runs() {
    const std::vector<std::string> methods = {"full", "snapkv", "knorm", "keydiff"};
    const std::vector<Budget> budgets = {Budget::Tokens(64)};
    auto runs = MakeEvalRuns(methods, budgets, {}, ShapeOf(engine_->config()));
    EXPECT_TRUE(ShareContexts(*runs, ShapeOf(engine_->config())).ok());
    return std::move(runs).value();
  }

  static std::vector<PromptAnswer> Answer(EnginePromptRunner& runner, const EvalSample& sample,
                                          std::span<const EvalRun> runs, int64_t num_done = 0) {
    std::vector<PromptAnswer> answers;
    for (auto& answer : runner.Answer(sample, runs, num_done, nullptr)) {
      EXPECT_TRUE(answer.ok()) << answer.status().message();
      answers.push_back(std::move(answer).value());
    }
    return answers;
  }

  static EnginePromptRunner NewRunner() { return {*engine_, tokenizer(), nullptr}; }

  static void ExpectSameAnswer(const PromptAnswer& a, const PromptAnswer& b) {
    EXPECT_EQ(a.output, b.output);
    EXPECT_EQ(a.output_ids, b.output_ids);
    EXPECT_EQ(a.finish, b.finish);
    EXPECT_EQ(a.kv_bytes, b.kv_bytes);
    EXPECT_EQ(a.full_kv_bytes, b.full_kv_bytes);
    EXPECT_EQ(a.prefill_flops, b.prefill_flops);
    EXPECT_EQ(a.full_prefill_flops, b.full_prefill_flops);
  }

  static Engine* engine_;
  static ChatTemplate* chat_;
};
Engine* SharedContextTest::engine_ = nullptr;
ChatTemplate* SharedContextTest::chat_ = nullptr;

TEST_F(SharedContextTest, QuestionsOfAContextComeTogetherAndDiffer) {
  for (const bool wrapped : {false, true}) {
    SCOPED_TRACE(wrapped);
    SuiteOptions options = Options();
    if (wrapped) options.chat_template = chat_;
    const std::vector<EvalSample> samples = Samples(options);
    ASSERT_EQ(samples.size(), kQuestions + 1u);
    for (int64_t i = 1; i < kQuestions; ++i) {
      EXPECT_EQ(ContextOf(samples[i]), ContextOf(samples[0]));
      EXPECT_NE(samples[i].question, samples[0].question);
      EXPECT_NE(samples[i].expected, samples[0].expected);
    }
    EXPECT_NE(ContextOf(samples[kQuestions]), ContextOf(samples[0]));
    for (const EvalSample& sample : samples) {
      const std::string context = tokenizer().Decode(ContextOf(sample));
      // In a template, the full stop is one token with what comes behind it.
      EXPECT_TRUE(wrapped || context.ends_with('.')) << context;
      EXPECT_THAT(context, ::testing::HasSubstr(sample.expected[0].get<std::string>()));
      EXPECT_THAT(context, ::testing::Not(::testing::HasSubstr(sample.question)));
    }
  }
}

TEST_F(SharedContextTest, OneQuestionAContextIsTheSuiteAsItIs) {
  SuiteOptions options = Options();
  options.questions_per_context = 1;
  SuiteOptions plain = options;
  plain.share_context = false;
  const std::vector<EvalSample> samples = Samples(options);
  const std::vector<EvalSample> as_before = Samples(plain);
  for (size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(samples[i].ids, as_before[i].ids);
    EXPECT_GT(samples[i].context_tokens, 0);
    EXPECT_EQ(as_before[i].context_tokens, 0);
  }
}

TEST_F(SharedContextTest, SettingsSayHowContextsAreRead) {
  SuiteOptions plain = Options();
  plain.share_context = false;
  EXPECT_NE((*CreateNeedleSuite(Options()))->Settings(), (*CreateNeedleSuite(plain))->Settings());
  std::vector<bool> shared;
  for (const EvalRun& run : Runs()) shared.push_back(RunSettings(run).contains("shares_context"));
  EXPECT_THAT(shared, ElementsAre(true, false, true, true));
}

TEST_F(SharedContextTest, AnAnswerDoesNotHangOnTheQuestionsBefore) {
  const std::vector<EvalRun> runs = Runs();
  EnginePromptRunner together = NewRunner();
  for (const EvalSample& sample : Samples(Options())) {
    EnginePromptRunner alone = NewRunner();
    const std::vector<PromptAnswer> answers = Answer(together, sample, runs);
    const std::vector<PromptAnswer> expected = Answer(alone, sample, runs);
    ASSERT_EQ(answers.size(), runs.size());
    for (size_t i = 0; i < runs.size(); ++i) ExpectSameAnswer(answers[i], expected[i]);
  }
}

TEST_F(SharedContextTest, GoesOnInTheMiddleOfASampleAndOfAContext) {
  const std::vector<EvalRun> runs = Runs();
  const std::vector<EvalSample> samples = Samples(Options());
  for (const int64_t num_done : {1, 3}) {
    EnginePromptRunner whole = NewRunner();
    EnginePromptRunner resumed = NewRunner();
    Answer(whole, samples[0], runs);
    const std::vector<PromptAnswer> expected = Answer(whole, samples[1], runs);
    const std::vector<PromptAnswer> answers = Answer(resumed, samples[1], runs, num_done);
    ASSERT_EQ(answers.size(), runs.size() - num_done);
    for (size_t i = 0; i < answers.size(); ++i)
      ExpectSameAnswer(answers[i], expected[num_done + i]);
  }
}

TEST_F(SharedContextTest, FullAndWhatLooksAtTheQuestionAnswerAsWithoutSharing) {
  const std::vector<EvalRun> runs = Runs();
  EnginePromptRunner runner = NewRunner();
  for (EvalSample& sample : Samples(Options())) {
    const std::vector<PromptAnswer> shared = Answer(runner, sample, runs);
    sample.context_tokens = 0;
    const std::vector<PromptAnswer> separate = Answer(runner, sample, runs);
    EXPECT_EQ(shared[0].output_ids, separate[0].output_ids) << "full";
    EXPECT_EQ(shared[0].kv_bytes, separate[0].kv_bytes);
    EXPECT_EQ(shared[0].full_kv_bytes, separate[0].full_kv_bytes);
    EXPECT_NEAR(shared[0].prefill_flops / separate[0].prefill_flops, 1, 0.03);
    ExpectSameAnswer(shared[1], separate[1]);
    EXPECT_GT(shared[2].kv_bytes, separate[2].kv_bytes) << "the question comes on top";
  }
}

TEST_F(SharedContextTest, EqualsASessionThatAppendsTheQuestion) {
  const std::vector<EvalRun> runs = Runs();
  EnginePromptRunner runner = NewRunner();
  for (const EvalSample& sample : Samples(Options())) {
    const std::vector<PromptAnswer> answers = Answer(runner, sample, runs);
    const auto ids = std::span(sample.ids);
    const auto context = ids.first(static_cast<size_t>(sample.context_tokens));
    for (const size_t run : {2, 3}) {
      Session session(*engine_);
      ASSERT_TRUE(session.Prefill({.ids = context, .method = runs[run].method}).ok());
      ASSERT_TRUE(session.Append(ids.subspan(context.size()), nullptr).ok());
      const auto decode = session.Decode({.max_new_tokens = sample.max_new_tokens,
                                          .end_ids = EndIdsOf(engine_->generation_config())});
      ASSERT_TRUE(decode.ok()) << decode.status().message();
      EXPECT_EQ(answers[run].output_ids, decode->output_ids) << runs[run].label;
      EXPECT_EQ(session.cache().PositionsOf(0, 0)->size(),
                64 + ids.size() - context.size() + decode->output_ids.size() - 1);
    }
  }
}

}  // namespace
}  // namespace fastkv
