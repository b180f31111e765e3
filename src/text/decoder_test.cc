#include "text/decoder.h"

#include <gtest/gtest.h>

#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

using Specs = std::optional<std::vector<DecoderSpec>>;

DecoderSpec Of(DecoderKind kind, std::string content = "") {
  DecoderSpec spec;
  spec.kind = kind;
  spec.content = std::move(content);
  return spec;
}

DecoderSpec Strip(std::string content, int64_t start, int64_t stop) {
  DecoderSpec spec = Of(DecoderKind::kStrip, std::move(content));
  spec.start = start;
  spec.stop = stop;
  return spec;
}

DecoderSpec Replace(std::string pattern, std::string content) {
  DecoderSpec spec = Of(DecoderKind::kReplace, std::move(content));
  spec.pattern = {false, std::move(pattern)};
  return spec;
}

// What comes out after each token and at the end, separated by bars.
std::string Stream(const Specs& specs, const std::vector<std::string>& tokens) {
  DecoderRun run(specs);
  std::string text;
  for (const std::string& token : tokens) {
    run.Take(token);
    const std::string part = run.TakeText();
    EXPECT_FALSE(FindInvalidUtf8(part));
    text += part + "|";
  }
  run.Finish();
  return text + run.TakeText();
}

TEST(DecoderTest, WithoutDecodersTokensAreJoinedWithSpaces) {
  EXPECT_EQ(Stream(std::nullopt, {"a", "b", "c"}), "a| b| c|");
  EXPECT_EQ(Stream(std::vector<DecoderSpec>{}, {"a", "b"}), "a|b|");
}

TEST(DecoderTest, ByteLevelGivesWholeCharacters) {
  const Specs specs = {{Of(DecoderKind::kByteLevel)}};
  EXPECT_EQ(Stream(specs, {"\u0120a", "\u00c3", "\u00a9b"}), " a||\u00e9b|");
  EXPECT_EQ(Stream(specs, {"\u00c3", "x"}), "|\ufffdx|");
  EXPECT_EQ(Stream(specs, {"\u00c3"}), "|\ufffd");
  EXPECT_EQ(Stream(specs, {"<a b>", "\u0120"}), "<a b>| |") << "not in the alphabet of bytes";
}

TEST(DecoderTest, ByteFallbackJudgesTheWholeRun) {
  const Specs specs = {{Of(DecoderKind::kByteFallback)}};
  EXPECT_EQ(Stream(specs, {"a", "<0xC3>", "<0xA9>", "b"}), "a|||\u00e9b|");
  EXPECT_EQ(Stream(specs, {"<0xC3>", "<0xa9>"}), "||\u00e9");
  EXPECT_EQ(Stream(specs, {"<0xC3>", "<0xA9>", "<0xFF>"}), "|||\ufffd\ufffd\ufffd");
  EXPECT_EQ(Stream(specs, {"<0xGG>"}), "<0xGG>|");
}

TEST(DecoderTest, StripAfterFuseTakesTheStartOfTheWhole) {
  const Specs specs = {{Replace("_", " "), Of(DecoderKind::kByteFallback), Of(DecoderKind::kFuse),
                        Strip(" ", 1, 0)}};
  EXPECT_EQ(Stream(specs, {"_a", "_b"}), "a| b|");
  EXPECT_EQ(Stream(specs, {"__a"}), " a|");
  EXPECT_EQ(Stream(specs, {"_", "_"}), "| |");
}

TEST(DecoderTest, StripActsOnBothEndsOfEachToken) {
  const Specs specs = {{Strip("x", 1, 2)}};
  EXPECT_EQ(Stream(specs, {"xxaxxx", "x", "axb"}), "xax||axb|");
  const Specs fused = {{Of(DecoderKind::kFuse), Strip("x", 0, 1)}};
  EXPECT_EQ(Stream(fused, {"ax", "xb", "xx"}), "a|xxb||x");
}

TEST(DecoderTest, ReplaceAfterFuseSeesTheWhole) {
  const Specs specs = {{Of(DecoderKind::kFuse), Replace("ab", "-")}};
  EXPECT_EQ(Stream(specs, {"a", "b", "ab"}), "|||--");
}

TEST(DecoderTest, MetaspaceDropsTheMarksOfTheFirstToken) {
  EXPECT_EQ(Stream({{Of(DecoderKind::kMetaspace, "_")}}, {"_a_", "_b"}), "a| b|");
  DecoderSpec never = Of(DecoderKind::kMetaspace, "_");
  never.prepend_scheme = PrependScheme::kNever;
  EXPECT_EQ(Stream({{never}}, {"_a", "_b"}), " a| b|");
}

TEST(DecoderTest, SenselessDecodersAreRefused) {
  DecoderSpec regex = Replace("a+", "b");
  regex.pattern.is_regex = true;
  EXPECT_EQ(CheckDecoders({regex}).code(), StatusCode::kUnsupported);
  EXPECT_EQ(CheckDecoders({Replace("", "b")}).code(), StatusCode::kFormat);
  EXPECT_EQ(CheckDecoders({Strip("", 1, 0)}).code(), StatusCode::kFormat);
  EXPECT_EQ(CheckDecoders({Strip("ab", 1, 0)}).code(), StatusCode::kFormat);
  EXPECT_TRUE(CheckDecoders({Strip("\u2581", 1, 0), Replace("a", "")}).ok());
}

}  // namespace
}  // namespace fastkv
