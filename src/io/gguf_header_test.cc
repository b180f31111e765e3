#include "io/gguf_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "base/limits.h"
#include "io/gguf_bytes.h"

namespace fastkv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Version 3 with 4 keys and 2 tensors, made by another writer.
constexpr char kGoldenHex[] =
    "474755460300000002000000000000000400000000000000140000000000000067656e6572616c2e61726368"
    "69746563747572650800000005000000000000006c6c616d6111000000000000006c6c616d612e626c6f636b"
    "5f636f756e74040000000100000014000000000000006c6c616d612e726f70652e667265715f626173650600"
    "00000050c3471500000000000000746f6b656e697a65722e67676d6c2e746f6b656e73090000000800000002"
    "000000000000000100000000000000610300000000000000c4a06212000000000000006f75747075745f6e6f"
    "726d2e7765696768740100000003000000000000000000000000000000000000001300000000000000626c6b"
    "2e302e6174746e5f712e77656967687402000000200000000000000002000000000000000300000020000000"
    "0000000000000000000000000000803f000020c00000003f0000000000000000000000000000000000000000"
    "003000be05223f5c7996b3d0ed0a2744617e9bb800380040091623303d4a5764717e8b98a5b2bfcc00000000"
    "0000000000000000000000000000000000000000";

// Where the parts of the golden file begin.
constexpr size_t kVersionAt = 4;
constexpr size_t kNumTensorsAt = 8;
constexpr size_t kNumKeysAt = 16;
constexpr size_t kFirstKeyAt = 24;
constexpr size_t kFirstTypeAt = 52;
constexpr size_t kFirstStringAt = 56;
constexpr size_t kArrayElementTypeAt = 171;
constexpr size_t kArrayCountAt = 175;
constexpr size_t kArrayFirstTextAt = 183;
constexpr size_t kNormInfoAt = 203;
constexpr size_t kNormDimensionsAt = 229;
constexpr size_t kNormSizeAt = 233;
constexpr size_t kNormTypeAt = 241;
constexpr size_t kNormOffsetAt = 245;
constexpr size_t kQueryNameAt = 261;
constexpr size_t kQueryColumnsAt = 284;
constexpr size_t kQueryRowsAt = 292;
constexpr size_t kQueryTypeAt = 300;
constexpr size_t kQueryOffsetAt = 304;
constexpr size_t kInfosEnd = 312;
constexpr size_t kDataAt = 320;
constexpr size_t kGoldenBytes = 416;

std::string Golden() {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string file;
  for (const char* c = kGoldenHex; *c != '\0'; c += 2) {
    file += static_cast<char>(digit(c[0]) * 16 + digit(c[1]));
  }
  return file;
}

std::string Patched(size_t offset, const std::string& bytes) {
  return Golden().replace(offset, bytes.size(), bytes);
}
template <typename T>
std::string PatchedNumber(size_t offset, T value) {
  return Patched(offset, GgufBytes::Raw(value));
}

// Parses an exact copy, so that a sanitizer sees a read past the end. The metadata of the result
// must not be used: its bytes are gone.
Result<GgufHeader> Parse(const std::string& file) {
  const std::unique_ptr<std::byte[]> copy(new std::byte[file.size()]);
  std::memcpy(copy.get(), file.data(), file.size());
  return ParseGgufHeader({copy.get(), file.size()});
}

void ExpectRefused(const std::string& file, StatusCode code, const std::string& wanted) {
  const Status status = Parse(file).status();
  ASSERT_FALSE(status.ok()) << wanted;
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), HasSubstr(wanted));
  EXPECT_EQ(status.message().find('\n'), std::string::npos);
}

void ExpectFormatError(const std::string& file, const std::string& wanted) {
  ExpectRefused(file, StatusCode::kFormat, wanted);
}

TEST(GgufHeader, ReadsTheGoldenFile) {
  const std::string file = Golden();
  ASSERT_EQ(file.size(), kGoldenBytes);
  const auto header = ParseGgufHeader(std::as_bytes(std::span(file)));
  ASSERT_TRUE(header.ok()) << header.status().message();
  EXPECT_EQ(header->version, 3U);
  EXPECT_EQ(header->metadata.Keys().size(), 4U);
  EXPECT_EQ(*header->metadata.String("general.architecture"), "llama");
  EXPECT_EQ(*header->metadata.Int("llama.block_count", 1, 10), 1);
  EXPECT_EQ(*header->metadata.Number("llama.rope.freq_base", 1, 1e9), 100000);
  EXPECT_THAT(*header->metadata.Strings("tokenizer.ggml.tokens", 10), ElementsAre("a", "\u0120b"));

  ASSERT_EQ(header->tensors.size(), 2U);
  const GgufTensor& query = header->tensors[0];
  EXPECT_EQ(query.name, "blk.0.attn_q.weight");
  EXPECT_EQ(query.type, StoredType::kQ4_1);
  EXPECT_THAT(query.shape, ElementsAre(2, 32));
  EXPECT_EQ(query.offset_bytes, 352U);
  EXPECT_EQ(query.size_bytes, 40U);
  const GgufTensor& norm = header->tensors[1];
  EXPECT_EQ(norm.name, "output_norm.weight");
  EXPECT_EQ(norm.type, StoredType::kF32);
  EXPECT_THAT(norm.shape, ElementsAre(3));
  EXPECT_EQ(norm.offset_bytes, kDataAt);
  float values[3];
  std::memcpy(values, file.data() + norm.offset_bytes, sizeof(values));
  EXPECT_THAT(values, ElementsAre(1.0F, -2.5F, 0.5F));
}

TEST(GgufHeader, Version2IsTheSame) {
  const auto header = Parse(PatchedNumber<uint32_t>(kVersionAt, 2));
  ASSERT_TRUE(header.ok()) << header.status().message();
  EXPECT_EQ(header->version, 2U);
  EXPECT_EQ(header->tensors.size(), 2U);
}

TEST(GgufHeader, RefusesOtherFormatsAndVersions) {
  ExpectFormatError("", "GGUF");
  ExpectFormatError(Patched(0, "GGML"), "GGUF");
  ExpectFormatError("GGUF", "too short");
  for (const uint32_t version : {0U, 1U, 4U, 70000U}) {
    ExpectRefused(PatchedNumber(kVersionAt, version), StatusCode::kUnsupported,
                  "version " + std::to_string(version));
  }
  ExpectRefused(PatchedNumber<uint32_t>(kVersionAt, 3U << 24), StatusCode::kUnsupported,
                "big-endian");
}

TEST(GgufHeader, RefusesCountsThatCannotFit) {
  for (const size_t at : {kNumTensorsAt, kNumKeysAt}) {
    for (const uint64_t count :
         {uint64_t{1} << 20, UINT64_MAX, UINT64_MAX / 24 + 2, uint64_t{40}}) {
      ExpectFormatError(PatchedNumber(at, count), std::to_string(count));
    }
  }
  std::string large(16 << 20, '\0');
  large.replace(0, 24, Golden().substr(0, 24));
  large.replace(kNumTensorsAt, 8, GgufBytes::Raw<uint64_t>(limits::kMaxTensors + 1));
  ExpectRefused(large, StatusCode::kLimit, "tensors");
  large.replace(kNumTensorsAt, 8, GgufBytes::Raw<uint64_t>(0));
  large.replace(kNumKeysAt, 8, GgufBytes::Raw<uint64_t>(limits::kMaxGgufKeys + 1));
  ExpectRefused(large, StatusCode::kLimit, "keys");
}

TEST(GgufHeader, RefusesBadKeys) {
  ExpectFormatError(PatchedNumber<uint64_t>(kFirstKeyAt, 0), "metadata key 1 of 4 is empty");
  ExpectFormatError(PatchedNumber<uint64_t>(kFirstKeyAt, 1000), "metadata key 1 of 4");
  ExpectRefused(PatchedNumber<uint64_t>(kFirstKeyAt, UINT64_MAX), StatusCode::kLimit,
                "metadata key 1 of 4");
  ExpectFormatError(PatchedNumber<uint32_t>(kFirstTypeAt, 13), "general.architecture");
  ExpectFormatError(PatchedNumber<uint64_t>(kFirstStringAt, 1000), "general.architecture");
  ExpectFormatError(PatchedNumber<uint64_t>(kFirstStringAt, UINT64_MAX), "general.architecture");
  ExpectFormatError(GgufBytes().U32("twin", 1).U32("other", 1).U32("twin", 1).Build(),
                    "\"twin\" occurs twice");
  ExpectFormatError(GgufBytes().Key("wrong.bool", 7, "\2").Build(), "wrong.bool");
}

TEST(GgufHeader, RefusesBadArrays) {
  constexpr char kKey[] = "tokenizer.ggml.tokens";
  ExpectFormatError(PatchedNumber<uint32_t>(kArrayElementTypeAt, 13), kKey);
  for (const uint64_t count : {uint64_t{100}, UINT64_MAX, UINT64_MAX / 8 + 2}) {
    ExpectFormatError(PatchedNumber(kArrayCountAt, count), kKey);
    ExpectFormatError(GgufBytes().Array("numbers", 10, count, "").Build(), "numbers");
  }
  ExpectFormatError(PatchedNumber<uint64_t>(kArrayFirstTextAt, UINT64_MAX), kKey);
  std::string nested;
  for (int i = 0; i < 100'000; ++i) {
    nested += GgufBytes::Raw<uint32_t>(9) + GgufBytes::Raw<uint64_t>(1);
  }
  ExpectRefused(GgufBytes().Key("nested", 9, nested).Build(), StatusCode::kLimit, "nested");
}

TEST(GgufHeader, StepsOverArraysOfArrays) {
  const std::string inner = GgufBytes::Raw<uint32_t>(8) + GgufBytes::Raw<uint64_t>(2) +
                            GgufBytes::Text("x") + GgufBytes::Text("");
  const std::string file = GgufBytes().Array("nested", 9, 2, inner + inner).U32("after", 7).Build();
  const auto header = ParseGgufHeader(std::as_bytes(std::span(file)));
  ASSERT_TRUE(header.ok()) << header.status().message();
  EXPECT_EQ(*header->metadata.Int("after", 0, 9), 7);
  EXPECT_THAT(header->metadata.Strings("nested", 9).status().message(), HasSubstr("nested"));
}

TEST(GgufHeader, RefusesBadAlignments) {
  for (const uint32_t alignment : {0U, 3U, 4U, 48U, 1U << 31}) {
    ExpectFormatError(GgufBytes().U32("general.alignment", alignment).Build(), "general.alignment");
  }
  ExpectFormatError(GgufBytes().Key("general.alignment", 10, GgufBytes::Raw<uint64_t>(32)).Build(),
                    "general.alignment");
  EXPECT_TRUE(Parse(GgufBytes().U32("general.alignment", 64).Build()).ok());
}

TEST(GgufHeader, AlignmentCountsFromTheStartOfTheFile) {
  std::string file = GgufBytes().U32("general.alignment", 128).Tensor("w", {2}, 0, "").Build();
  file.resize((file.size() + 127) / 128 * 128);
  const size_t data_start = file.size();
  const auto header = Parse(file + std::string(8, 'd'));
  ASSERT_TRUE(header.ok()) << header.status().message();
  EXPECT_EQ(header->tensors[0].offset_bytes, data_start);
}

TEST(GgufHeader, RefusesBadTensors) {
  constexpr char kNorm[] = "output_norm.weight";
  constexpr char kQuery[] = "blk.0.attn_q.weight";
  ExpectFormatError(PatchedNumber<uint64_t>(kNormInfoAt, 0), "tensor 1 of 2");
  ExpectFormatError(PatchedNumber<uint64_t>(kNormInfoAt, 64), "63");
  ExpectFormatError(PatchedNumber<uint64_t>(kNormInfoAt, UINT64_MAX), "63");
  ExpectFormatError(Patched(kQueryNameAt, std::string(1, '\0')), "zero character");
  for (const uint32_t num_dimensions : {0U, 5U, UINT32_MAX}) {
    ExpectFormatError(PatchedNumber(kNormDimensionsAt, num_dimensions), kNorm);
  }
  for (const uint64_t size : {uint64_t{0}, UINT64_MAX, uint64_t{1} << 63}) {
    ExpectFormatError(PatchedNumber(kNormSizeAt, size), kNorm);
  }
  ExpectFormatError(PatchedNumber<uint64_t>(kQueryRowsAt, uint64_t{1} << 60), kQuery);
  ExpectFormatError(PatchedNumber<uint64_t>(kNormSizeAt, uint64_t{1} << 62), kNorm);
  ExpectFormatError(PatchedNumber<uint64_t>(kQueryColumnsAt, 48), "no multiple of the 32");
  for (const uint32_t type : {4U, 5U, 9U, 15U, 16U, 24U, 31U, 36U, 39U, 1000U, UINT32_MAX}) {
    ExpectRefused(PatchedNumber(kQueryTypeAt, type), StatusCode::kUnsupported,
                  "number " + std::to_string(type));
  }
  EXPECT_TRUE(Parse(PatchedNumber<uint32_t>(kNormTypeAt, 30)).ok());
}

TEST(GgufHeader, RefusesBadPlaces) {
  constexpr char kQuery[] = "blk.0.attn_q.weight";
  ExpectFormatError(PatchedNumber<uint64_t>(kQueryOffsetAt, 33), "alignment");
  ExpectFormatError(PatchedNumber<uint64_t>(kQueryOffsetAt, 64), kQuery);
  ExpectFormatError(PatchedNumber<uint64_t>(kQueryOffsetAt, UINT64_MAX - 31), kQuery);
  ExpectFormatError(PatchedNumber<uint64_t>(kQueryOffsetAt, 0), "overlap");
  ExpectFormatError(PatchedNumber<uint64_t>(kNormOffsetAt, 32), "overlap");
  // 33 rows of 20 bytes.
  ExpectFormatError(PatchedNumber<uint64_t>(kQueryRowsAt, 33), "expected at least 1012 bytes");
  const std::string name = "twin";
  ExpectFormatError(GgufBytes().Tensor(name, {1}, 0, "1234").Tensor(name, {1}, 0, "1234").Build(),
                    "\"twin\" occurs twice");
}

TEST(GgufHeader, TensorsMayStandInAnyOrderWithGaps) {
  const auto header = Parse(GgufBytes()
                                .TensorAt("a", {1}, 0, 96, std::string(96, 'd'))
                                .TensorAt("b", {1}, 0, 0, "1234")
                                .Build());
  ASSERT_TRUE(header.ok()) << header.status().message();
  EXPECT_EQ(header->tensors[0].offset_bytes - header->tensors[1].offset_bytes, 96U);
}

TEST(GgufHeader, RefusesOtherQuantisationsWhereItMatters) {
  const auto file = [](uint32_t version, uint32_t type) {
    return GgufBytes()
        .U32("general.quantization_version", version)
        .Tensor("w", {32}, type, std::string(128, '\0'))
        .Build();
  };
  ExpectRefused(file(1, 8), StatusCode::kUnsupported, "general.quantization_version");
  EXPECT_TRUE(Parse(file(2, 8)).ok());
  EXPECT_TRUE(Parse(file(1, 0)).ok());
}

// A download that stopped says how much there should be once the descriptions are complete.
TEST(GgufHeader, RefusesEveryTruncation) {
  const std::string file = Golden();
  for (size_t size = 0; size < kDataAt + 32 + 40; ++size) {
    const Status status = Parse(file.substr(0, size)).status();
    ASSERT_EQ(status.code(), StatusCode::kFormat) << size;
    if (size >= kInfosEnd) {
      EXPECT_THAT(status.message(), AllOf(HasSubstr("expected at least 392 bytes"),
                                          HasSubstr("found " + std::to_string(size))));
    }
  }
}

TEST(GgufHeader, SurvivesEveryFlippedBit) {
  for (size_t bit = 0; bit < kInfosEnd * 8; ++bit) {
    std::string file = Golden();
    file[bit / 8] = static_cast<char>(file[bit / 8] ^ (1 << (bit % 8)));
    const auto header = Parse(file);
    if (header.ok()) continue;
    EXPECT_EQ(header.status().message().find('\n'), std::string::npos);
  }
}

TEST(GgufMetadata, TakesAnyTypeOfNumber) {
  const std::string file = GgufBytes()
                               .Key("u8", 0, GgufBytes::Raw<uint8_t>(200))
                               .Key("i8", 1, GgufBytes::Raw<int8_t>(-3))
                               .Key("u16", 2, GgufBytes::Raw<uint16_t>(60000))
                               .Key("i16", 3, GgufBytes::Raw<int16_t>(-300))
                               .Key("i32", 5, GgufBytes::Raw<int32_t>(-70000))
                               .Key("u64", 10, GgufBytes::Raw<uint64_t>(UINT64_MAX))
                               .Key("i64", 11, GgufBytes::Raw<int64_t>(-5'000'000'000))
                               .Key("f64", 12, GgufBytes::Raw<double>(0.1))
                               .F32("nan", std::numeric_limits<float>::quiet_NaN())
                               .Bool("yes", true)
                               .Build();
  const auto header = ParseGgufHeader(std::as_bytes(std::span(file)));
  ASSERT_TRUE(header.ok()) << header.status().message();
  const GgufMetadata& metadata = header->metadata;
  EXPECT_EQ(*metadata.Int("u8", 0, 255), 200);
  EXPECT_EQ(*metadata.Int("i8", -9, 9), -3);
  EXPECT_EQ(*metadata.Int("u16", 0, 65535), 60000);
  EXPECT_EQ(*metadata.Int("i16", -999, 0), -300);
  EXPECT_EQ(*metadata.Int("i32", INT32_MIN, 0), -70000);
  EXPECT_EQ(*metadata.Int("i64", INT64_MIN, 0), -5'000'000'000);
  EXPECT_EQ(*metadata.Number("f64", 0, 1), 0.1);
  EXPECT_EQ(*metadata.Number("u8", 0, 255), 200);
  EXPECT_TRUE(*metadata.Bool("yes"));
  EXPECT_EQ(*metadata.IntOr("absent", 4, 0, 9), 4);
  const auto refusal = [](const auto& result) { return result.status().message(); };
  EXPECT_THAT(refusal(metadata.Int("u64", 0, INT64_MAX)),
              AllOf(HasSubstr("\"u64\""), HasSubstr("18446744073709551615")));
  EXPECT_THAT(refusal(metadata.Int("u8", 0, 100)), HasSubstr("from 0 to 100, found 200"));
  EXPECT_THAT(refusal(metadata.Int("yes", 0, 100)), HasSubstr("found true"));
  EXPECT_THAT(refusal(metadata.Number("nan", 0, 1)), HasSubstr("\"nan\""));
  EXPECT_THAT(refusal(metadata.Bool("u8")), HasSubstr("expected a bool"));
  EXPECT_THAT(refusal(metadata.String("u8")), HasSubstr("expected a string"));
  EXPECT_THAT(refusal(metadata.Strings("u8", 9)), HasSubstr("expected an array of strings"));
  EXPECT_THAT(refusal(metadata.Int("absent", 0, 1)), HasSubstr("\"absent\" is missing"));
}

}  // namespace
}  // namespace fastkv
