#include "fastkv/demo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "fastkv/demo_document.h"
#include "fastkv/demo_run.h"
#include "io/json.h"
#include "io/temp_folder.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

DemoRunOptions ShortRun() {
  DemoRunOptions options;
  options.context_tokens = 1024;
  options.max_questions = 1;
  options.seed = 1;
  return options;
}

Result<std::unique_ptr<Engine>> LoadNeedleModel() {
  return LoadEngine({.model = "models/needle-16m"}, /*quiet=*/true);
}

TEST(DemoRun, DescribesWhatTheMethodKept) {
  const auto engine = LoadNeedleModel();
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  const auto run = RunDemoQuestions(*engine.value(), ShortRun());
  ASSERT_TRUE(run.ok()) << run.status().message();
  const SelectionPageData& data = run.value();
  const MethodComparison& comparison = data.comparison;
  ASSERT_THAT(comparison.questions, SizeIs(1));
  EXPECT_EQ(comparison.baseline.answers.at(0).text, comparison.questions[0].expected);
  EXPECT_EQ(comparison.model, "needle-16m");
  EXPECT_GT(comparison.baseline.first_token_ms, 0);
  EXPECT_GT(comparison.baseline.kv_bytes, 8 * comparison.method.kv_bytes);

  const auto num_tokens = static_cast<int64_t>(data.token_texts.size());
  EXPECT_EQ(comparison.prompt_tokens, num_tokens);
  EXPECT_LE(num_tokens, 1024);
  EXPECT_EQ(data.tsp_layer, 7);
  EXPECT_EQ(static_cast<int64_t>(data.propagated.size()), num_tokens / 5);
  ASSERT_THAT(data.layers, SizeIs(16));
  for (const LayerSelection& layer : data.layers) {
    ASSERT_THAT(layer.kept_per_head, SizeIs(2));
    for (const auto& kept : layer.kept_per_head) {
      EXPECT_EQ(static_cast<int64_t>(kept.size()), num_tokens / 10);
    }
  }
  ASSERT_THAT(data.facts, SizeIs(1));
  EXPECT_EQ(data.facts[0].label, comparison.questions[0].expected);
}

TEST(DemoRun, StopsWhenCancelled) {
  const auto engine = LoadNeedleModel();
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  CancelFlag cancel;
  DemoRunOptions options = ShortRun();
  options.cancel = &cancel;
  options.on_progress = [&](const std::string&, const PrefillProgress&) { cancel.Cancel(); };
  EXPECT_EQ(RunDemoQuestions(*engine.value(), options).status().code(), StatusCode::kCancelled);
}

TEST(Demo, PrintsOneJsonObjectAndWritesThePage) {
  const TempFolder folder;
  DemoOptions options;
  options.model.model = "models/needle-16m";
  options.context_tokens = 1024;
  options.max_questions = 2;
  options.page = JoinPath(folder.path(), "page.html");
  options.json = true;
  options.quiet = true;
  std::ostringstream out;
  const Status status = RunDemo(options, out);
  ASSERT_TRUE(status.ok()) << status.message();
  const Result<Json> json = ParseJson(out.str());
  ASSERT_TRUE(json.ok()) << json.status().message();
  EXPECT_THAT(json.value()["questions"], SizeIs(2));
  EXPECT_THAT(json.value()["methods"], SizeIs(2));
  EXPECT_THAT(json.value()["methods"][1]["answers"], SizeIs(2));
  EXPECT_TRUE(json.value()["document"].is_null());
  EXPECT_EQ(json.value()["page"], options.page);
  const Result<std::string> page = RealFileSystem().ReadFile(options.page, 1 << 20);
  ASSERT_TRUE(page.ok()) << page.status().message();
  EXPECT_THAT(page.value(), HasSubstr("What FastKV keeps of"));
}

// Paragraphs of some 20 tokens each.
std::string Paragraphs(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += "The mill stood by the river for " + std::to_string(100 + i) +
            " years, and nobody asked why.\n\n";
  }
  return text;
}

DemoDocumentOptions ShortDocument(const TempFolder& folder, int num_paragraphs) {
  DemoDocumentOptions options;
  options.document = JoinPath(folder.path(), "mill.txt");
  EXPECT_TRUE(RealFileSystem().WriteFile(options.document, Paragraphs(num_paragraphs)).ok());
  options.question = "What is it about?";
  options.max_document_tokens = 400;
  options.max_answer_tokens = 3;
  return options;
}

TEST(DemoDocument, ReadsWholeParagraphsWithBothMethods) {
  const TempFolder folder;
  const auto engine = LoadNeedleModel();
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  const auto read = [&](int num_paragraphs) {
    auto document =
        RunDemoDocument(RealFileSystem(), *engine.value(), ShortDocument(folder, num_paragraphs));
    EXPECT_TRUE(document.ok()) << document.status().message();
    return std::move(document).value();
  };
  const DocumentSection whole = read(10);
  EXPECT_FALSE(whole.is_cut);
  EXPECT_EQ(whole.name, "mill.txt");
  const DocumentSection cut = read(100);
  EXPECT_TRUE(cut.is_cut);
  EXPECT_GT(cut.comparison.prompt_tokens, whole.comparison.prompt_tokens);
  EXPECT_LT(cut.comparison.prompt_tokens, 400 + 40);
  EXPECT_FALSE(cut.comparison.IsJudged());
  EXPECT_GT(cut.comparison.baseline.kv_bytes, 8 * cut.comparison.method.kv_bytes);
  EXPECT_THAT(cut.comparison.method.answers, SizeIs(1));
  EXPECT_THAT(cut.method_text, HasSubstr("propagated after layer 7"));
}

TEST(DemoDocument, WantsAParagraphThatFits) {
  const TempFolder folder;
  const auto engine = LoadNeedleModel();
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  DemoDocumentOptions options = ShortDocument(folder, 10);
  options.max_document_tokens = 5;
  EXPECT_EQ(RunDemoDocument(RealFileSystem(), *engine.value(), options).status().code(),
            StatusCode::kLimit);
}

TEST(Demo, ReadsADocumentWithAChatModel) {
  const TempFolder folder;
  DemoOptions options;
  options.model.model = "models/needle-16m";
  options.chat_model = options.model.model;
  options.document = ShortDocument(folder, 20).document;
  options.context_tokens = 1024;
  options.max_questions = 1;
  options.page = JoinPath(folder.path(), "page.html");
  options.quiet = true;
  std::ostringstream out;
  const Status status = RunDemo(options, out);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(out.str(), HasSubstr("the text of mill.txt and a question"));
  EXPECT_THAT(out.str(), HasSubstr("what is this document about?"));
  const Result<std::string> page = RealFileSystem().ReadFile(options.page, 1 << 20);
  ASSERT_TRUE(page.ok()) << page.status().message();
  EXPECT_THAT(page.value(), HasSubstr("A document read by needle-16m"));
}

TEST(Demo, KeepsTheFirstActWhereTheSecondFails) {
  const TempFolder folder;
  DemoOptions options;
  options.model.model = "models/needle-16m";
  options.chat_model = options.model.model;
  options.document = JoinPath(folder.path(), "empty.txt");
  ASSERT_TRUE(RealFileSystem().WriteFile(options.document, "").ok());
  options.context_tokens = 1024;
  options.max_questions = 1;
  options.page = JoinPath(folder.path(), "page.html");
  options.quiet = true;
  std::ostringstream out;
  EXPECT_FALSE(RunDemo(options, out).ok());
  EXPECT_THAT(out.str(), HasSubstr("time to first token"));
  EXPECT_TRUE(RealFileSystem().Exists(options.page).value());
}

TEST(Demo, AsksNoFurtherQuestionBeyondItsTime) {
  DemoOptions options;
  options.model.model = "models/needle-16m";
  options.context_tokens = 1024;
  options.time_budget_seconds = 0;
  options.page.clear();
  options.quiet = true;
  std::ostringstream out;
  const Status status = RunDemo(options, out);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(out.str(), HasSubstr(" tokens, 1 question\n"));
  EXPECT_THAT(out.str(), HasSubstr("time to first token"));
  EXPECT_THAT(out.str(), Not(HasSubstr("picture")));
}

TEST(Demo, SaysWhatIsWrongBeforeTheLongRuns) {
  const auto code = [](auto change) {
    DemoOptions options;
    options.model.model = "models/needle-16m";
    options.page.clear();
    options.quiet = true;
    change(options);
    std::ostringstream out;
    const Status status = RunDemo(options, out);
    EXPECT_EQ(out.str(), "");
    return status.code();
  };
  EXPECT_EQ(code([](DemoOptions& options) { options.model.model = "no/such/folder"; }),
            StatusCode::kNotFound);
  EXPECT_EQ(code([](DemoOptions& options) { options.context_tokens = 65536; }), StatusCode::kLimit);
  EXPECT_EQ(code([](DemoOptions& options) { options.method.method = "no-such-method"; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](DemoOptions& options) { options.chat_model = "no/such/model.gguf"; }),
            StatusCode::kNotFound);
  EXPECT_EQ(code([](DemoOptions& options) { options.document = "some.txt"; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](DemoOptions& options) {
              options.chat_model = options.model.model;
              options.document = "no/such/text";
            }),
            StatusCode::kNotFound);
  EXPECT_EQ(code([](DemoOptions& options) { options.page = "no/such/folder/page.html"; }),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fastkv
