#include "base/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fastkv {
namespace {

TEST(Float16, EveryHalfSurvivesAFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half{static_cast<uint16_t>(bits)};
    const float value = ToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(ToFloat(ToFloat16(value))));
    } else {
      ASSERT_EQ(ToFloat16(value).bits, bits);
    }
  }
}

TEST(Float16, RoundsToNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = ToFloat(Float16{static_cast<uint16_t>(bits)});
    const float high = ToFloat(Float16{static_cast<uint16_t>(bits + 1)});
    const float middle = low + (high - low) / 2;
    ASSERT_EQ(ToFloat16(middle).bits, bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(ToFloat16(std::nextafter(middle, 0.0f)).bits, bits);
    ASSERT_EQ(ToFloat16(std::nextafter(-middle, -1e9f)).bits, 0x8000 | (bits + 1));
  }
}

TEST(Float16, OverflowsToInfinity) {
  EXPECT_EQ(ToFloat16(65519.996f).bits, 0x7bff);
  EXPECT_EQ(ToFloat16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(ToFloat16(-std::numeric_limits<float>::infinity()).bits, 0xfc00);
}

}  // namespace
}  // namespace fastkv
