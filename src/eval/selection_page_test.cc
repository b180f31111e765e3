#include "eval/selection_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "eval/html_for_test.h"
#include "eval/human_format.h"
#include "eval/selection_density.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Two layers of two heads over ten tokens, a cut after layer 0, the answer at tokens 4 and 5.
SelectionPageData SmallData() {
  SelectionPageData data;
  data.comparison = {.model = "tiny",
                     .machine = "1 core",
                     .prompt_tokens = 10,
                     .questions = {{"What is it?", "42"}, {"And this?", "17, 18"}},
                     .baseline = {"full context", 4000, 30, 4096, {{"42", 1}, {"17, 18", 1}}},
                     .method = {"FastKV", 1000, 10, 1024, {{"42", 1}, {"17, 19", 0.5}}}};
  data.method_text = "TSP 50 %";
  data.command = "fastkv demo";
  data.token_texts = {"a", " b", " c", " is", " 4", "2", ".", " d", "\n", "e"};
  data.layers = {{.tokens_in = 10, .kept_per_head = {{0, 4, 5}, {4, 9}}},
                 {.tokens_in = 5, .kept_per_head = {{4, 5}, {0, 9}}}};
  data.tsp_layer = 0;
  data.propagated = {0, 4, 5, 8, 9};
  data.facts = {{.sentence = {2, 7}, .value = {4, 6}, .label = "42"}};
  return data;
}

TEST(SelectionPage, IsOneBalancedSelfContainedFile) {
  const std::string html = RenderSelectionPage(SmallData());
  ExpectBalanced(html);
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
}

TEST(SelectionPage, DrawsOneRowForEachLayerAndTheCut) {
  const std::string html = RenderSelectionPage(SmallData());
  EXPECT_EQ(Occurrences(html, "class=\"strip\""), 3u);
  EXPECT_THAT(html, HasSubstr("after layer 0, 5 of 10 tokens go on"));
  EXPECT_THAT(html, HasSubstr("Layer 1: 5 of 10 tokens came in, 2 of 10 KV entries per head"));
}

TEST(SelectionPage, ShowsWhichHeadsHoldTheAnswer) {
  const std::string html = RenderSelectionPage(SmallData());
  EXPECT_THAT(html, HasSubstr("<i class=\"full\"></i><i class=\"half\"></i></span></div>"))
      << "layer 0: head 0 holds tokens 4 and 5, head 1 only token 4";
  EXPECT_THAT(html, HasSubstr("<i class=\"full\"></i><i></i></span></div>"))
      << "layer 1: head 1 holds neither";
}

TEST(SelectionPage, CountsHeadsWhereDotsWouldBeTooMany) {
  SelectionPageData data = SmallData();
  for (LayerSelection& layer : data.layers) layer.kept_per_head.assign(8, {0, 9});
  data.layers[1].kept_per_head[3] = {4, 5};
  EXPECT_THAT(RenderSelectionPage(data), HasSubstr("<span class=\"dots\">1/8</span>"));
}

TEST(SelectionPage, ShowsADocumentBehindTheRest) {
  SelectionPageData data = SmallData();
  EXPECT_THAT(RenderSelectionPage(data), Not(HasSubstr("A document read by")));
  data.document.emplace();
  data.document->name = "a<b";
  data.document->is_cut = true;
  data.document->method_text = "TSP 20 %";
  data.document->comparison = {.model = "chatty",
                               .machine = "1 core",
                               .prompt_tokens = 7000,
                               .questions = {{"What is it about?", ""}},
                               .baseline = {"full context", 9000, 30, 4096, {{"Mills", 0}}},
                               .method = {"FastKV", 3000, 10, 1024, {{"Rivers", 0}}}};
  const std::string html = RenderSelectionPage(data);
  ExpectBalanced(html);
  EXPECT_THAT(html, HasSubstr("A document read by chatty"));
  EXPECT_THAT(html,
              HasSubstr("The beginning of a&lt;b and one question, a prompt of 7,000 tokens"));
  EXPECT_THAT(html, HasSubstr("<td>What is it about?</td><td>Mills</td><td>Rivers</td>"));
  EXPECT_EQ(Occurrences(html, "Right answers</th>"), 1u) << "the document's answers are not judged";
}

TEST(SelectionPage, TellsResultsAndAnswers) {
  const std::string html = RenderSelectionPage(SmallData());
  EXPECT_THAT(html, HasSubstr("4.0× sooner"));
  EXPECT_THAT(html, HasSubstr("3.0× faster"));
  EXPECT_THAT(html, HasSubstr("1.00 KiB instead of 4.00 KiB"));
  EXPECT_THAT(html, HasSubstr("<td class=\"partly\"><i>◐</i> 17, 19</td>"));
  EXPECT_THAT(html, HasSubstr("1 of 2"));
}

TEST(SelectionPage, EscapesEverythingFromOutside) {
  const std::string evil = "<script>\"&'\x01\xff";
  const std::string safe = "&lt;script&gt;&quot;&amp;&#39;\xef\xbf\xbd\xef\xbf\xbd";
  SelectionPageData data = SmallData();
  data.comparison.model = evil;
  data.comparison.machine = evil;
  data.comparison.method.name = evil;
  data.comparison.baseline.name = evil;
  data.comparison.questions[0] = {evil, evil};
  data.comparison.baseline.answers[0].text = evil;
  data.comparison.method.answers[0].text = evil;
  data.method_text = evil;
  data.command = evil;
  data.facts[0].label = evil;
  for (std::string& token : data.token_texts) token = evil;
  const std::string html = RenderSelectionPage(data);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("\xff")));
  EXPECT_GE(Occurrences(html, safe), 20u);
  ExpectBalanced(html);
}

TEST(SelectionPage, NeedsNoCutAndNoFact) {
  SelectionPageData data = SmallData();
  data.tsp_layer = -1;
  data.propagated.clear();
  data.facts.clear();
  const std::string html = RenderSelectionPage(data);
  ExpectBalanced(html);
  EXPECT_THAT(html, Not(HasSubstr("TSP layer")));
  EXPECT_THAT(html, Not(HasSubstr("class=\"mark\"")));
}

TEST(SelectionPage, StaysBelowOneMegabyte) {
  SelectionPageData data = SmallData();
  constexpr int32_t kTokens = 131072;
  data.token_texts.assign(kTokens, " word");
  data.propagated.clear();
  Random random(1);
  for (int32_t i = 0; i < kTokens; ++i) {
    if (random.NextInt(5) == 0) data.propagated.push_back(i);
  }
  // Scattered at random: the worst case for runs of equal columns.
  data.layers.assign(64, {.tokens_in = kTokens, .kept_per_head = {}});
  for (LayerSelection& layer : data.layers) {
    layer.kept_per_head.resize(8);
    for (std::vector<int32_t>& kept : layer.kept_per_head) {
      for (int32_t i = 0; i < kTokens; ++i) {
        if (random.NextInt(10) == 0) kept.push_back(i);
      }
    }
  }
  EXPECT_LT(RenderSelectionPage(data).size(), 1'000'000u);
}

TEST(SelectionDensity, ShadesGrowWithTheShare) {
  EXPECT_EQ(ShadeOf(0), 0);
  EXPECT_EQ(ShadeOf(0.001), 1);
  EXPECT_EQ(ShadeOf(0.5), 3);
  EXPECT_EQ(ShadeOf(0.51), 4);
  EXPECT_EQ(ShadeOf(1), kNumShades);
}

TEST(SelectionDensity, ColumnsShareTokensAndHeads) {
  const ColumnScale scale = ColumnScale::For(10, 4);
  EXPECT_EQ(scale.tokens_per_column, 3);
  EXPECT_EQ(scale.num_columns, 4);
  EXPECT_EQ(scale.TokensIn(3), 1);
  const std::vector<std::vector<int32_t>> heads = {{0, 1, 2, 9}, {0, 9}};
  const std::vector<double> shares = ColumnShares(scale, heads);
  EXPECT_THAT(shares, ElementsAre(4.0 / 6, 0, 0, 1));
}

TEST(SelectionDensity, CountsListsInAWindow) {
  const std::vector<std::vector<int32_t>> heads = {{0, 4, 5}, {4, 9}};
  EXPECT_THAT(CountLists({.first = 3, .end = 6}, heads), ElementsAre(0, 2, 1));
}

TEST(SelectionDensity, PathsCoverRunsOfOneShade) {
  const std::vector<int> shades = {2, 2, 0, 1, 2};
  EXPECT_EQ(ShadePath(shades, 2, 0.5), "M0 0.5h2M4 0.5h1");
  EXPECT_EQ(ShadePath(shades, 5, 0.5), "");
}

TEST(HumanFormat, WritesNumbersAsPeopleReadThem) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(16384), "16,384");
  EXPECT_EQ(HumanCount(-1234567), "-1,234,567");
  EXPECT_EQ(HumanCount(-123), "-123");
  EXPECT_EQ(HumanBytes(512), "512 B");
  EXPECT_EQ(HumanBytes(3355443), "3.20 MiB");
  EXPECT_EQ(HumanBytes((int64_t{1} << 30) - 1), "1.00 GiB");
  EXPECT_EQ(HumanDuration(0.416), "0.42 ms");
  EXPECT_EQ(HumanDuration(38.21), "38.2 ms");
  EXPECT_EQ(HumanDuration(12430), "12.4 s");
  EXPECT_EQ(HumanDuration(125'000), "2 min 05 s");
  EXPECT_EQ(HumanTimes(2.94), "2.9×");
  EXPECT_EQ(HumanTimes(9.96), "10×");
  EXPECT_EQ(HumanPercent(0.1), "10 %");
  EXPECT_EQ(HumanPercent(0.004), "0.4 %");
}

TEST(HumanFormat, SaysWhetherAChangeIsGood) {
  EXPECT_EQ(HumanChange(12, 4, "faster", "slower"), "3.0× faster");
  EXPECT_EQ(HumanChange(4, 12, "faster", "slower"), "3.0× slower");
  EXPECT_EQ(HumanChange(0, 12, "faster", "slower"), "");
}

TEST(HumanFormat, EscapesForHtml) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  EXPECT_EQ(EscapeHtml("é€😀\n\t"), "é€😀\n\t");
  const std::string replaced = "\xef\xbf\xbd";
  EXPECT_EQ(EscapeHtml("\xe2\x82"), replaced + replaced) << "a cut sequence";
  EXPECT_EQ(EscapeHtml("\xed\xa0\x80"), replaced + replaced + replaced) << "a surrogate";
  EXPECT_EQ(EscapeHtml("\xc0\xaf"), replaced + replaced) << "an overlong form";
  EXPECT_EQ(EscapeHtml(std::string_view("\0", 1)), replaced);
}

}  // namespace
}  // namespace fastkv
