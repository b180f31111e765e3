#include "base/fingerprint.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

TEST(FingerprintTest, IsFnv1a) {
  // Published values: of nothing, and of the eight bytes "a" 0 0 0 0 0 0 0 worked out apart.
  EXPECT_EQ(Fingerprint().Hex(), "cbf29ce484222325");
  Fingerprint number;
  number.Add('a');
  EXPECT_EQ(number.Hex(), "6926124a7b1433c4");
}

TEST(FingerprintTest, BordersCount) {
  Fingerprint ab_c;
  ab_c.Add("ab");
  ab_c.Add("c");
  Fingerprint a_bc;
  a_bc.Add("a");
  a_bc.Add("bc");
  EXPECT_NE(ab_c.value(), a_bc.value());
}

}  // namespace
}  // namespace fastkv
