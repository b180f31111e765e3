#include "text/normalizer.h"

#include <gtest/gtest.h>

namespace fastkv {
namespace {

struct Normalized {
  std::string text;
  std::string trust;  // '+' or '-' for each byte
};

Normalized Normalize(const std::vector<NormalizerSpec>& specs, std::string_view text,
                     std::string_view trust = "") {
  const Result<Normalizer> normalizer = Normalizer::Create(specs);
  EXPECT_TRUE(normalizer.ok()) << normalizer.status().message();
  PatternScratch patterns;
  patterns.StartText(text.size());
  Normalizer::Scratch scratch;
  NormalizedText value{text, {}};
  for (const char c : trust) value.trusted.push_back(c == '+' ? 1 : 0);
  EXPECT_TRUE(normalizer->Normalize(value, scratch, patterns).ok());
  Normalized result{std::string(value.text), ""};
  for (const uint8_t trusted : value.trusted) result.trust += trusted != 0 ? '+' : '-';
  return result;
}

NormalizerSpec Of(NormalizerKind kind) {
  NormalizerSpec spec;
  spec.kind = kind;
  return spec;
}

NormalizerSpec Replace(bool is_regex, std::string pattern, std::string content) {
  NormalizerSpec spec;
  spec.kind = NormalizerKind::kReplace;
  spec.pattern = {is_regex, std::move(pattern)};
  spec.content = std::move(content);
  return spec;
}

NormalizerSpec Prepend(std::string content) {
  NormalizerSpec spec;
  spec.kind = NormalizerKind::kPrepend;
  spec.content = std::move(content);
  return spec;
}

TEST(NormalizerTest, EachKind) {
  EXPECT_EQ(Normalize({Of(NormalizerKind::kNfc)}, "e\u0301").text, "\u00e9");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kNfd)}, "\u00e9").text, "e\u0301");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kNfkc)}, "\ufb01\u00bd").text, "fi1\u20442");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kNfkd)}, "\u01c4").text, "DZ\u030c");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kLowercase)}, "A\u0130\u00c9\u03a3").text,
            "ai\u0307\u00e9\u03c3");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kStripAccents)}, "e\u0301\u00e9").text, "e\u00e9");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kStrip)}, "\u3000 a b\n").text, "a b");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kStrip)}, " \n ").text, "");
  EXPECT_EQ(Normalize({Prepend("_")}, "a").text, "_a");
  EXPECT_EQ(Normalize({Prepend("_")}, "").text, "");
  EXPECT_EQ(Normalize({Replace(false, " ", "_")}, " a  b").text, "_a__b");
  EXPECT_EQ(Normalize({Replace(true, " {2,}", "+")}, "a b   c").text, "a b+c");
  EXPECT_EQ(Normalize({Replace(true, "x*", "-")}, "axb").text, "-a-b-");
}

TEST(NormalizerTest, StepsFollowEachOther) {
  EXPECT_EQ(Normalize({Prepend(" "), Replace(false, " ", "_")}, "a b").text, "_a_b");
}

TEST(NormalizerTest, TrustFollowsTheBytes) {
  // A composed letter is trusted only if both its parts are.
  EXPECT_EQ(Normalize({Of(NormalizerKind::kNfc)}, "ae\u0301b", "++--+").trust, "+--+");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kNfc)}, "ae\u0301b", "-++++").trust, "-+++");
  EXPECT_EQ(Normalize({Prepend("_")}, "ab", "-+").trust, "+-+");
  EXPECT_EQ(Normalize({Replace(false, "ab", "xyz")}, "abcab", "+++-+").trust, "++++---");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kStrip)}, " ab ", "+-+-").trust, "-+");
  EXPECT_EQ(Normalize({Of(NormalizerKind::kLowercase)}, "AB", "+-").trust, "+-");
}

}  // namespace
}  // namespace fastkv
