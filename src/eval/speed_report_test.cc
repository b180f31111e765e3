#include "eval/speed_report.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

TEST(SpeedReport, SpreadsHaveTheMiddleAndBothEnds) {
  const Spread odd = SpreadOf({5, 1, 3});
  EXPECT_EQ(odd.median, 3);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 5);
  EXPECT_EQ(SpreadOf({4, 1, 2, 8}).median, 3);
  EXPECT_EQ(SpreadOf({7}).median, 7);
}

TEST(SpeedReport, RatesAndSharesFollowFromTimes) {
  SpeedRow row{.method = "full", .context = 1000, .batch = 2};
  row.prefill_ms = {.median = 500, .min = 250, .max = 1000};
  row.decode_ms_per_token = Spread{.median = 10, .min = 5, .max = 20};
  row.predicted_flops = 1e9;
  row.predicted_decode_bytes = 1e8;
  EXPECT_FALSE(row.PrefillShare().has_value());
  row.ceiling = DeviceCeilings{.matrix_flops_per_s = 4e9, .read_bytes_per_s = 2e10};
  EXPECT_DOUBLE_EQ(row.PrefillShare().value(), 0.5);
  EXPECT_DOUBLE_EQ(row.DecodeShare().value(), 0.5);
  EXPECT_DOUBLE_EQ(row.PrefillTokensPerSecond().median, 2000);
  EXPECT_DOUBLE_EQ(row.PrefillTokensPerSecond().min, 1000);
  EXPECT_DOUBLE_EQ(row.PrefillTokensPerSecond().max, 4000);
  EXPECT_DOUBLE_EQ(row.DecodeTokensPerSecond()->median, 200);
  row.ceiling->matrix_flops_per_s = 0;
  EXPECT_FALSE(row.PrefillShare().has_value());
  row.error = "no memory";
  EXPECT_FALSE(row.DecodeShare().has_value());
}

}  // namespace
}  // namespace fastkv
