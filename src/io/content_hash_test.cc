#include "io/content_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/random.h"

namespace fastkv {
namespace {

std::string RandomText(size_t num_bytes, uint64_t seed) {
  Random random(seed);
  std::string text(num_bytes, '\0');
  for (char& c : text) c = static_cast<char>(random.NextInt(256));
  return text;
}

TEST(ContentHash, EveryBitCounts) {
  for (const size_t num_bytes : {1, 7, 8, 31, 32, 33, 100}) {
    std::string text = RandomText(num_bytes, num_bytes);
    std::set<uint64_t> seen = {ContentHash(text)};
    for (size_t bit = 0; bit < 8 * num_bytes; ++bit) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
      EXPECT_TRUE(seen.insert(ContentHash(text)).second) << num_bytes << " " << bit;
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    }
  }
}

TEST(ContentHash, LengthCounts) {
  std::set<uint64_t> seen;
  for (size_t num_bytes = 0; num_bytes <= 100; ++num_bytes) {
    EXPECT_TRUE(seen.insert(ContentHash(std::string(num_bytes, '\0'))).second) << num_bytes;
  }
}

TEST(ContentHash, OrderAndSeedCount) {
  const std::string a = RandomText(64, 1);
  const std::string b = RandomText(64, 2);
  EXPECT_NE(ContentHash(a + b), ContentHash(b + a));
  EXPECT_NE(ContentHash(a, 1), ContentHash(a, 2));
  EXPECT_EQ(ContentHash(a, 1), ContentHash(std::string(a), 1));
}

TEST(ContentHash, HalfOfTheBitsChange) {
  int64_t changed = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::string text = RandomText(40, seed);
    const uint64_t before = ContentHash(text);
    text[seed % 40] = static_cast<char>(text[seed % 40] ^ 1);
    changed += __builtin_popcountll(before ^ ContentHash(text));
  }
  EXPECT_NEAR(static_cast<double>(changed) / 200, 32, 3);
}

TEST(ContentHash, TextIsSixteenDigits) {
  EXPECT_EQ(HashText(0), "0000000000000000");
  EXPECT_EQ(HashText(0x0123456789abcdefull), "0123456789abcdef");
}

}  // namespace
}  // namespace fastkv
