#include "eval/niah_haystack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Full stops are 0; the needle is 7, 8.
std::vector<int32_t> Inserted(double depth) {
  const std::vector<int32_t> haystack = {1, 2, 0, 3, 4, 0, 5, 6, 0, 9};
  const std::vector<int32_t> needle = {7, 8};
  return InsertNeedle(haystack, needle, depth, [](int32_t id) { return id == 0; });
}

TEST(InsertNeedle, StandsBehindTheLastSentenceBeforeTheDepth) {
  EXPECT_THAT(Inserted(0), ElementsAre(7, 8, 1, 2, 0, 3, 4, 0, 5, 6, 0, 9));
  EXPECT_THAT(Inserted(29), ElementsAre(7, 8, 1, 2, 0, 3, 4, 0, 5, 6, 0, 9)) << "no stop yet";
  EXPECT_THAT(Inserted(30), ElementsAre(1, 2, 0, 7, 8, 3, 4, 0, 5, 6, 0, 9));
  EXPECT_THAT(Inserted(55), ElementsAre(1, 2, 0, 7, 8, 3, 4, 0, 5, 6, 0, 9));
  EXPECT_THAT(Inserted(99), ElementsAre(1, 2, 0, 3, 4, 0, 5, 6, 0, 7, 8, 9));
  EXPECT_THAT(Inserted(100), ElementsAre(1, 2, 0, 3, 4, 0, 5, 6, 0, 9, 7, 8));
}

TEST(NiahTexts, TheAnswerIsWhatTheQuestionLeavesOpen) {
  const std::string needle = "\nThe best thing to do in Paris is walk by the river.\n";
  EXPECT_EQ(OpenPartOfNeedle(needle, "The best thing to do in Paris is: "), "walk by the river.");
  EXPECT_EQ(OpenPartOfNeedle(needle, "What is the best thing to do in Paris?"),
            "walk by the river.");
  EXPECT_EQ(OpenPartOfNeedle("Two and two.", "What?"), "Two and two.");
}

constexpr const char* kScript = R"(
class Tester:
    def __init__(self,
                 needle="\nThe best thing to do in Paris is walk by the river.\n",
                 haystack_dir="PaulGrahamEssays",
                 retrieval_question="The best thing to do in Paris is: "):
    def prompt(self, context):
        return f"<|im_start|> A book: {context}\n Question: {self.retrieval_question}\nAnswer:"
)";

TEST(NiahTexts, AreReadFromTheUsersCopy) {
  MemoryFileSystem files;
  files.Put("repo/eval/run_needle_in_haystack.py", kScript);
  files.Put("repo/data/PaulGrahamEssays/b.txt", "second.");
  files.Put("repo/data/PaulGrahamEssays/a.txt", "first. ");
  files.Put("repo/data/PaulGrahamEssays/readme.md", "not this");
  const Result<NiahTexts> texts = ReadNiahTexts(files, "repo");
  ASSERT_TRUE(texts.ok()) << texts.status().message();
  EXPECT_EQ(texts->haystack, "first. second.");
  EXPECT_EQ(texts->needle, "\nThe best thing to do in Paris is walk by the river.\n");
  EXPECT_EQ(texts->question, "The best thing to do in Paris is: ");
  EXPECT_EQ(texts->answer, "walk by the river.");
  EXPECT_EQ(texts->prompt, "<|im_start|> A book: {context}\n Question: {question}\nAnswer:");
  files.Put("repo/data/PaulGrahamEssays/a.txt", "First. ");
  EXPECT_NE(ReadNiahTexts(files, "repo")->hash, texts->hash);
}

TEST(NiahTexts, WhatIsMissingIsNamed) {
  MemoryFileSystem files;
  files.Put("repo/other", "");
  EXPECT_THAT(ReadNiahTexts(files, "repo").status().message(), HasSubstr("no essays"));
  files.Put("repo/a.txt", "text.");
  EXPECT_THAT(ReadNiahTexts(files, "repo").status().message(), HasSubstr("run.py"));
  files.Put("repo/run.py", "needle = 'x'");
  const Status status = ReadNiahTexts(files, "repo").status();
  EXPECT_EQ(status.code(), StatusCode::kFormat);
  EXPECT_THAT(status.message(), HasSubstr("retrieval_question"));
}

}  // namespace
}  // namespace fastkv
