#include "fastkv/number_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(NumberList, TakesNumbersAndRanges) {
  EXPECT_THAT(ParseNumberList("-p", {"512"}).value(), ElementsAre(512));
  EXPECT_THAT(ParseNumberList("-p", {"4096", "1024"}).value(), ElementsAre(4096, 1024));
  EXPECT_THAT(ParseNumberList("-p", {"1024-8192*2"}).value(), ElementsAre(1024, 2048, 4096, 8192));
  EXPECT_THAT(ParseNumberList("-p", {"1000-2100+500"}).value(), ElementsAre(1000, 1500, 2000));
  EXPECT_THAT(ParseNumberList("-p", {"3-8*3"}).value(), ElementsAre(3));
}

TEST(NumberList, GivesEachNumberOnce) {
  EXPECT_THAT(ParseNumberList("-p", {"2", "1-4+1", "4"}).value(), ElementsAre(2, 1, 3, 4));
}

TEST(NumberList, NamesTheItemThatIsWrong) {
  for (const char* item : {"", "0", "-5", "x", "12x", "1-4", "4-1+1", "1-4*1", "1-4+0", "1-4*2*2",
                           "99999999999999999999", "268435457"}) {
    const Result<std::vector<int64_t>> list = ParseNumberList("--contexts", {"7", item});
    ASSERT_FALSE(list.ok()) << item;
    EXPECT_EQ(list.status().code(), StatusCode::kInvalidArgument) << item;
    EXPECT_THAT(list.status().message(), HasSubstr("--contexts"));
    EXPECT_THAT(list.status().message(), HasSubstr("\"" + std::string(item) + "\""));
  }
  EXPECT_FALSE(ParseNumberList("-p", {"1-1002+1"}).ok());
  EXPECT_FALSE(ParseNumberList("-p", {}).ok());
}

}  // namespace
}  // namespace fastkv
