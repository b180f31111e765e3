#include "eval/scorers/jieba_segmenter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using testing::ElementsAre;

constexpr std::string_view kStart = "P={'B': -0.5, 'E': -3.14e+100, 'M': -3.14e+100, 'S': -1.0}";
constexpr std::string_view kTransitions =
    "P={'B': {'E': -0.1, 'M': -2.0}, 'E': {'B': -0.7, 'S': -0.7},\n"
    " 'M': {'E': -0.5, 'M': -1.0}, 'S': {'B': -0.7, 'S': -0.7}}";
constexpr std::string_view kEmissions =
    "from __future__ import unicode_literals\n"
    "P={'B': {'\\u4e00': -1.0}, 'E': {'\\u4e8c': -1.0}, 'M': {'\\u4e8c': -9.0},\n"
    " 'S': {'\\u4e00': -8.0, '\\u4e8c': -8.0, '\\u4e09': -1.0}}";

JiebaSegmenter MakeSegmenter(std::string_view dictionary) {
  return JiebaSegmenter(JiebaDictionary::Parse(dictionary).value(),
                        JiebaHmm::Parse(kStart, kTransitions, kEmissions).value());
}

TEST(JiebaDictionary, TakesTheMostProbableWay) {
  // 甲乙丙: 甲乙 + 丙 against 甲 + 乙丙, by the product of frequencies.
  const auto ends_of = [](std::string_view lines) {
    return JiebaDictionary::Parse(lines)->BestEnds(U"甲乙丙");
  };
  EXPECT_THAT(ends_of("甲乙 50 n\n丙 10 n\n甲 10 n\n乙丙 40 n\n"), ElementsAre(2, 3, 3));
  EXPECT_THAT(ends_of("甲乙 50 n\n丙 10 n\n甲 20 n\n乙丙 40 n\n"), ElementsAre(1, 3, 3));
  // A word that is known only as a beginning does not count, but leads on to longer ones.
  EXPECT_THAT(ends_of("甲乙丙 1\nx 1000\n"), ElementsAre(3, 2, 3));
  // Equal: the longer word first.
  EXPECT_THAT(ends_of("甲乙 4\n甲 4\n乙丙 4\n丙 4\n"), ElementsAre(2, 3, 3));
}

TEST(JiebaDictionary, RefusesWhatIsNoDictionary) {
  for (const char* wrong :
       {"", "\n\n", "word\n", "word many n\n", "word -3 n\n", "a 0 n\n", "\xFF 3 n\n"}) {
    EXPECT_EQ(JiebaDictionary::Parse(wrong).status().code(), StatusCode::kFormat) << wrong;
  }
  EXPECT_THAT(JiebaDictionary::Parse("a 1 n\nb\n").status().message(),
              testing::HasSubstr("line 2"));
}

TEST(JiebaSegmenter, LetsTheModelJoinSingleCharacters) {
  const JiebaSegmenter segmenter = MakeSegmenter("二三 0 n\n四四 5 n\n");
  EXPECT_THAT(segmenter.Segment("一二三"), ElementsAre("一二", "三"));
  EXPECT_THAT(segmenter.Segment("一"), ElementsAre("一"));
  EXPECT_THAT(segmenter.Segment("四四一二四四"), ElementsAre("四四", "一二", "四四"));
}

TEST(JiebaSegmenter, LeavesKnownStringsOfSinglesAlone) {
  // 一二 is a word, but its characters one by one are more probable: then the model is not asked.
  const JiebaSegmenter segmenter = MakeSegmenter("一二 1 n\n一 900 n\n二 900 n\n");
  EXPECT_THAT(segmenter.Segment("一二"), ElementsAre("一", "二"));
}

TEST(JiebaSegmenter, CutsOtherWriting) {
  const JiebaSegmenter segmenter = MakeSegmenter("c++ 3 nz\nx 1 n\n");
  EXPECT_THAT(segmenter.Segment("v2.05% c++"), ElementsAre("v2.05%", " ", "c++"));
  EXPECT_THAT(segmenter.Segment("a\r\n\tb，é"), ElementsAre("a", "\r\n", "\t", "b", "，", "é"));
  EXPECT_THAT(segmenter.Segment("ab-cd"), ElementsAre("ab", "-", "cd"));
  EXPECT_THAT(segmenter.Segment(""), ElementsAre());
}

TEST(JiebaSegmenter, NamesTheFileThatIsMissingOrBroken) {
  MemoryFileSystem files;
  ASSERT_TRUE(files.WriteFile("jieba/dict.txt", "一 1 n\n").ok());
  EXPECT_THAT(JiebaSegmenter::Load(files, "jieba").status().message(),
              testing::HasSubstr("prob_start.py"));
  ASSERT_TRUE(files.WriteFile("jieba/finalseg/prob_start.py", kStart).ok());
  ASSERT_TRUE(files.WriteFile("jieba/finalseg/prob_trans.py", kTransitions).ok());
  ASSERT_TRUE(files.WriteFile("jieba/finalseg/prob_emit.py", "P={'B': 1}").ok());
  EXPECT_THAT(JiebaSegmenter::Load(files, "jieba").status().message(),
              testing::HasSubstr("prob_emit"));
  ASSERT_TRUE(files.WriteFile("jieba/finalseg/prob_emit.py", kEmissions).ok());
  EXPECT_TRUE(JiebaSegmenter::Load(files, "jieba").ok());
  ASSERT_TRUE(files.WriteFile("jieba/dict.txt", "一\n").ok());
  EXPECT_THAT(JiebaSegmenter::Load(files, "jieba").status().message(),
              testing::HasSubstr("dict.txt: line 1"));
}

}  // namespace
}  // namespace fastkv
