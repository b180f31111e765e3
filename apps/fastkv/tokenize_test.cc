#include "fastkv/tokenize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "io/json.h"
#include "io/temp_folder.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

constexpr const char* kModel = "models/needle-16m";

std::string Tokenized(const TokenizeOptions& options, const std::string& text, Status* status) {
  std::istringstream in(text);
  std::ostringstream out;
  *status = RunTokenize(options, in, out);
  return out.str();
}

TEST(TokenizeTest, PrintsIdsOrJson) {
  Status status;
  TokenizeOptions options{kModel, "", false};
  EXPECT_EQ(Tokenized(options, "Hello, world!", &status), "43 724 82 15 3045 4\n");
  EXPECT_TRUE(status.ok()) << status.message();
  options.json = true;
  const Json report = ParseJson(Tokenized(options, "Hello, world!<|im_end|>", &status)).value();
  EXPECT_EQ(report["ids"], Json({43, 724, 82, 15, 3045, 4, 3}));
  EXPECT_EQ(report["text"], "Hello, world!<|im_end|>");
  EXPECT_EQ(Tokenized(options, "", &status), "{\"ids\":[],\"text\":\"\"}\n");
}

TEST(TokenizeTest, BatchKeepsTheOrder) {
  const TempFolder folder;
  std::ofstream(folder.File("batch.json")) << R"(["a", "", "\"\n\u0000\ud83d\ude42"])";
  Status status;
  const std::string output = Tokenized({kModel, folder.File("batch.json"), true}, "", &status);
  ASSERT_TRUE(status.ok()) << status.message();
  const Json report = ParseJson(output).value();
  ASSERT_EQ(report.size(), 3u);
  EXPECT_EQ(report[0]["text"], "a");
  EXPECT_EQ(report[1]["ids"], Json::array());
  EXPECT_EQ(report[2]["text"], std::string("\"\n\0\U0001F642", 7));
  std::ofstream(folder.File("empty.json")) << "[]";
  EXPECT_EQ(Tokenized({kModel, folder.File("empty.json"), true}, "", &status), "[]\n");
}

TEST(TokenizeTest, BadInputGivesAnErrorAndNoOutput) {
  const TempFolder folder;
  Status status;
  EXPECT_EQ(Tokenized({kModel, "", true}, "ab\xff", &status), "");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("byte 2"));
  std::ofstream(folder.File("batch.json")) << R"(["a", 1])";
  EXPECT_EQ(Tokenized({kModel, folder.File("batch.json"), false}, "", &status), "");
  EXPECT_EQ(status.code(), StatusCode::kFormat);
  EXPECT_THAT(status.message(), HasSubstr("element 1"));
  EXPECT_EQ(Tokenized({folder.path(), "", false}, "a", &status), "");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("tokenizer.json"));
}

}  // namespace
}  // namespace fastkv
