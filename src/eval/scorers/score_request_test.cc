#include "eval/scorers/score_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/scorers/python_text.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

Result<std::optional<double>> Score(std::string_view line, const ScoringOptions& options = {}) {
  const Result<ScoreRequest> request = ParseScoreRequest(ParseJson(line).value());
  if (!request.ok()) return request.status();
  return ScorePrediction(request.value(), options);
}

// Scores of the public scorers for predictions of ours. The dictionary is the part of jieba's that
// these texts touch.
TEST(ScoreRequest, GivesThePublicScores) {
  const std::string folder = UnpackedTestArchive("scorers");
  const auto segmenter = JiebaSegmenter::Load(RealFileSystem(), folder + "/jieba");
  ASSERT_TRUE(segmenter.ok()) << segmenter.status().message();
  const auto content = RealFileSystem().ReadFile(folder + "/scorers.jsonl", 1 << 24);
  ASSERT_TRUE(content.ok());
  int num_scored = 0;
  for (const std::string_view line : SplitAt(*content, '\n')) {
    if (line.empty()) continue;
    const Json json = ParseJson(line).value();
    const auto request = ParseScoreRequest(json);
    ASSERT_TRUE(request.ok()) << line;
    const auto score = ScorePrediction(*request, {.segmenter = segmenter->get()});
    ASSERT_TRUE(score.ok()) << line << ": " << score.status().message();
    ASSERT_TRUE(score.value().has_value()) << line;
    EXPECT_NEAR(**score, json["score"].get<double>(), 1e-9) << line;
    ++num_scored;
  }
  EXPECT_GT(num_scored, 1000);
}

TEST(ScoreRequest, SaysWhereWordsWouldBeNeeded) {
  const auto score =
      Score(R"({"suite":"longbench","task":"vcsum","prediction":"你好","answers":["你好"]})");
  ASSERT_TRUE(score.ok());
  EXPECT_FALSE(score.value().has_value());
}

TEST(ScoreRequest, ProfilesDifferInRuler) {
  const std::string begin =
      R"({"suite":"ruler","task":"vt","prediction":"a\tb","answers":["a\nb"],"profile":")";
  EXPECT_EQ(*Score(begin + "official\"}").value(), 1);
  EXPECT_EQ(*Score(begin + "fastkv\"}").value(), 0);
}

TEST(ScoreRequest, OptionsChangeTheRules) {
  const std::string dialogue =
      R"({"suite":"infinitebench","task":"longdialogue_qa_eng","prediction":"Bob","answers":["ANN","BOB"]})";
  EXPECT_EQ(*Score(dialogue).value(), 0);
  EXPECT_EQ(*Score(dialogue, {.any_dialogue_name = true}).value(), 1);
  const std::string code =
      R"({"suite":"longbench","task":"lcc","prediction":"xaxbxcdd","answers":["abcxdd"]})";
  EXPECT_DOUBLE_EQ(*Score(code).value(), 0.43);
  EXPECT_DOUBLE_EQ(*Score(code, {.edit_ratio = EditRatio::kIndel}).value(), 0.71);
}

TEST(ScoreRequest, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> kWrong[] = {
      {R"([])", "object"},
      {R"({"suite":"x","task":"vt","prediction":"","answers":[]})", "suite"},
      {R"({"suite":"ruler","task":"niah","prediction":"","answers":[]})", "no task \"niah\""},
      {R"({"suite":"ruler","task":"vt","answers":[]})", "prediction"},
      {R"({"suite":"ruler","task":"vt","prediction":5,"answers":[]})", "prediction"},
      {R"({"suite":"ruler","task":"vt","prediction":""})", "answers"},
      {R"({"suite":"ruler","task":"vt","prediction":"","answers":"a"})", "answers"},
      {R"({"suite":"ruler","task":"vt","prediction":"","answers":["a",1]})", "answers"},
      {R"({"suite":"ruler","task":"vt","prediction":"","answers":[],"profile":"x"})", "profile"},
      {R"({"suite":"longbench","task":"trec","prediction":"","answers":[]})", "all_classes"},
      {R"({"suite":"needle","task":"coverage","prediction":"","answers":["a","b"]})", "one answer"},
      {R"({"suite":"infinitebench","task":"code_debug","prediction":"","answers":"a"})", "options"},
  };
  for (const auto& [line, what] : kWrong) {
    const auto score = Score(line);
    ASSERT_FALSE(score.ok()) << line;
    EXPECT_THAT(score.status().message(), testing::HasSubstr(what)) << line;
  }
}

}  // namespace
}  // namespace fastkv
