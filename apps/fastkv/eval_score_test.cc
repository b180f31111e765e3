#include "fastkv/eval_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "io/temp_folder.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

constexpr const char* kEnglish =
    R"({"id":"a","suite":"longbench","task":"qasper","prediction":"to be or not to be","answers":["to be"],"other":1})";
constexpr const char* kChinese =
    R"({"id":7,"suite":"longbench","task":"multifieldqa_zh","prediction":"结婚","answers":["结婚"]})";

std::string Scored(const std::string& lines, EvalScoreOptions options, Status* status) {
  const TempFolder folder;
  options.input_file = folder.File("input.jsonl");
  std::ofstream(options.input_file) << lines;
  std::ostringstream out;
  *status = RunEvalScore(options, out);
  return out.str();
}

TEST(EvalScore, PrintsALineForEachLine) {
  Status status;
  const std::string lines = std::string(kEnglish) + "\r\n\n" + kChinese + "\n";
  EXPECT_EQ(Scored(lines, {.json = true}, &status),
            "{\"id\":\"a\",\"score\":0.5}\n"
            "{\"id\":7,\"score\":null,\"unsupported\":\"jieba\"}\n");
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(Scored("", {.json = true}, &status), "");
  EXPECT_TRUE(status.ok());
}

TEST(EvalScore, ShowsTasksAsTheyArePublished) {
  const std::string longer =
      R"({"id":2,"suite":"longbench","task":"qasper_e","prediction":"a","answers":["x"],"length":9000})";
  Status status;
  const std::string table =
      Scored(std::string(kEnglish) + "\n" + kChinese + "\n" + kEnglish + "\n" + longer + "\n", {},
             &status);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(table, HasSubstr("longbench      qasper                       2  50.00\n"));
  EXPECT_THAT(table,
              HasSubstr("longbench      multifieldqa_zh              1  needs --jieba-dict\n"));
  EXPECT_THAT(table, HasSubstr("longbench      qasper_e                     1  - / - / 0.00\n"));
}

TEST(EvalScore, UsesTheDictionary) {
  Status status;
  const std::string folder = UnpackedTestArchive("scorers") + "/jieba";
  EXPECT_EQ(Scored(kChinese, {.jieba_folder = folder, .json = true}, &status),
            "{\"id\":7,\"score\":1.0}\n");
  EXPECT_EQ(Scored(kChinese, {.jieba_folder = "/nowhere", .json = true}, &status), "");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
}

TEST(EvalScore, NamesTheMalformedLineAndPrintsNothing) {
  for (const char* wrong :
       {"{", "[]", R"({"suite":"longbench","task":"qasper","prediction":"","answers":[]})",
        R"({"id":1,"suite":"longbench","task":"x","prediction":"","answers":[]})",
        "{\"id\":1,\"suite\":\"ruler\",\"task\":\"vt\",\"prediction\":\"\xFF\",\"answers\":[]}"}) {
    Status status;
    EXPECT_EQ(Scored(std::string(kEnglish) + "\n" + wrong, {.json = true}, &status), "") << wrong;
    EXPECT_EQ(ExitStatusFor(status), 2) << wrong;
    EXPECT_THAT(status.message(), HasSubstr("line 2")) << wrong;
  }
}

}  // namespace
}  // namespace fastkv
