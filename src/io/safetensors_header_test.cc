#include "io/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "base/limits.h"
#include "io/safetensors_bytes.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

// Parses an exact copy, so that a sanitizer sees a read past the end.
Result<std::vector<TensorEntry>> Parse(const std::string& file) {
  const std::unique_ptr<std::byte[]> copy(new std::byte[file.size()]);
  std::memcpy(copy.get(), file.data(), file.size());
  return ParseSafetensorsHeader({copy.get(), file.size()});
}

Status StatusOf(const std::string& header, size_t data_bytes) {
  return Parse(SafetensorsBytes(header, std::string(data_bytes, 'd'))).status();
}

void ExpectFormatError(const std::string& header, size_t data_bytes, const std::string& wanted) {
  const Status status = StatusOf(header, data_bytes);
  EXPECT_EQ(status.code(), StatusCode::kFormat) << header;
  EXPECT_THAT(status.message(), HasSubstr(wanted)) << header;
  EXPECT_EQ(status.message().find('\n'), std::string::npos);
}

std::string Tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

TEST(SafetensorsHeader, DescribesTheTensors) {
  const std::string header = "{\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}," +
                             Tensor("w", "BF16", "[2,3]", "[4,16]") + "," +
                             Tensor("s", "F32", "[]", "[0,4]") + "," +
                             Tensor("ids", "I64", "[1]", "[16,24]") + "}   ";
  const auto entries = Parse(SafetensorsBytes(header, std::string(24, 'd')));
  ASSERT_TRUE(entries.ok()) << entries.status().message();
  ASSERT_EQ(entries->size(), 3u);
  const TensorEntry& ids = (*entries)[0];
  EXPECT_EQ(ids.name, "ids");
  EXPECT_EQ(ids.dtype_name, "I64");
  EXPECT_FALSE(ids.dtype.has_value());
  const TensorEntry& scalar = (*entries)[1];
  EXPECT_EQ(scalar.dtype, DType::kF32);
  EXPECT_TRUE(scalar.shape.empty());
  const TensorEntry& weight = (*entries)[2];
  EXPECT_EQ(weight.dtype, DType::kBF16);
  EXPECT_EQ(weight.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(weight.offset_bytes, 8 + header.size() + 4);
  EXPECT_EQ(weight.size_bytes, 12u);
}

TEST(SafetensorsHeader, EmptyTensorsAndEmptyFilesAreLegal) {
  EXPECT_TRUE(StatusOf("{}", 0).ok());
  EXPECT_TRUE(StatusOf("{\"__metadata__\":{}}", 0).ok());
  EXPECT_TRUE(StatusOf("{" + Tensor("a", "F32", "[0,5]", "[0,0]") + "," +
                           Tensor("b", "F32", "[1]", "[0,4]") + "," +
                           Tensor("c", "F32", "[3,0]", "[4,4]") + "}",
                       4)
                  .ok());
  EXPECT_TRUE(StatusOf("{" + Tensor("a", "U8", "[1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1).ok());
}

TEST(SafetensorsHeader, RefusesBadLengths) {
  for (size_t size = 0; size < 8; ++size) {
    EXPECT_EQ(Parse(std::string(size, '\1')).status().code(), StatusCode::kFormat) << size;
  }
  const auto with_length = [](uint64_t length) {
    std::string file(8, '\0');
    for (int i = 0; i < 8; ++i) file[i] = static_cast<char>(length >> (8 * i));
    return file + "{}";
  };
  EXPECT_TRUE(Parse(with_length(2)).ok());
  for (uint64_t length : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 32, UINT64_MAX, UINT64_MAX - 7,
                          uint64_t{1} << 63}) {
    EXPECT_EQ(Parse(with_length(length)).status().code(), StatusCode::kFormat) << length;
  }
  EXPECT_EQ(StatusOf("{" + std::string(limits::kMaxSafetensorsHeaderBytes, ' '), 0).code(),
            StatusCode::kLimit);
}

TEST(SafetensorsHeader, RefusesWhatIsNotItsJson) {
  const std::string good = Tensor("a", "U8", "[1]", "[0,1]");
  for (const std::string& header :
       {std::string("["), std::string(" {}"), std::string("{"), std::string("{}}"), "{" + good,
        "{" + good + ",}", "{" + good + "}{}", "{" + good + "}\x01", std::string("{}\0", 3),
        std::string("{\"\xff\":1}"), std::string("{\"\\ud800\":1}"), std::string("{\"a\":1e999}"),
        std::string("PK\3\4")}) {
    EXPECT_EQ(StatusOf(header, 1).code(), StatusCode::kFormat) << header;
  }
}

TEST(SafetensorsHeader, RefusesWrongStructure) {
  for (const char* value : {"1", "-1", "1.5", "\"x\"", "null", "true", "[]", "[1]", "[{}]"}) {
    EXPECT_FALSE(StatusOf(std::string("{\"a\":") + value + "}", 1).ok()) << value;
    EXPECT_FALSE(StatusOf(std::string("{\"__metadata__\":") + value + "}", 0).ok()) << value;
  }
  ExpectFormatError("{\"a\":{}}", 1, "expected the fields");
  for (const char* value : {"1", "null", "true", "[]", "{}", "-2", "0.5"}) {
    ExpectFormatError(std::string("{\"__metadata__\":{\"k\":") + value + "}}", 0, "__metadata__");
  }
  ExpectFormatError("{" + Tensor("a", "U8", "[1]", "[0,1,1]") + "}", 1, "\"a\"");
  ExpectFormatError("{" + Tensor("a", "U8", "[1]", "[0]") + "}", 1, "two numbers");
  ExpectFormatError("{" + Tensor("a", "U8", "[1]", "[]") + "}", 1, "two numbers");
  ExpectFormatError("{" + Tensor("a", "U8", "[[1]]", "[0,1]") + "}", 1, "an array");
  ExpectFormatError("{" + Tensor("a", "U8", "[{}]", "[0,1]") + "}", 1, "an object");
  ExpectFormatError("{" + Tensor("a", "U8", "1", "[0,1]") + "}", 1, "a number");
  ExpectFormatError("{" + Tensor("a", "U8", "[\"1\"]", "[0,1]") + "}", 1, "a string");
  ExpectFormatError("{" + Tensor("a", "U9", "[1]", "[0,1]") + "}", 1, "element type \"U9\"");
  ExpectFormatError(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}})", 1,
                    "unknown field \"more\"");
  ExpectFormatError(R"({"a":{"dtype":"U8","shape":[1]}})", 1, "expected the fields");
  ExpectFormatError(R"({"a":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})", 1, "an array");
}

TEST(SafetensorsHeader, RefusesNamesThatCannotBe) {
  const std::string a = Tensor("a", "U8", "[1]", "[0,1]");
  ExpectFormatError("{" + a + "," + Tensor("a", "U8", "[1]", "[1,2]") + "}", 2, "twice");
  ExpectFormatError("{" + a + "," + Tensor("\\u0061", "U8", "[0]", "[1,1]") + "}", 1, "twice");
  ExpectFormatError(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                    "\"dtype\" occurs twice");
  ExpectFormatError(R"({"__metadata__":{},"__metadata__":{}})", 0, "twice");
  ExpectFormatError(R"({"__metadata__":{"k":"1","k":"2"}})", 0, "\"k\" occurs twice");
  ExpectFormatError("{" + Tensor("a\\u0000b", "U8", "[1]", "[0,1]") + "}", 1, "zero character");
  ExpectFormatError("{" + Tensor("", "U8", "[1]", "[0,1]") + "}", 1, "empty");
}

TEST(SafetensorsHeader, RefusesShapesThatCannotBe) {
  ExpectFormatError("{" + Tensor("a", "F32", "[-1]", "[0,4]") + "}", 4, "negative");
  ExpectFormatError("{" + Tensor("a", "F32", "[1.0]", "[0,4]") + "}", 4, "fraction");
  ExpectFormatError("{" + Tensor("a", "F32", "[1e400]", "[0,4]") + "}", 4, "invalid JSON");
  ExpectFormatError("{" + Tensor("a", "F32", "[9223372036854775808]", "[0,4]") + "}", 4,
                    "too large");
  ExpectFormatError("{" + Tensor("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}", 0,
                    "too large");
  ExpectFormatError("{" + Tensor("a", "F32", "[4611686018427387904]", "[0,0]") + "}", 0,
                    "too large");
  ExpectFormatError("{" + Tensor("a", "F32", "[2]", "[0,4]") + "}", 4, "need 8");
  ExpectFormatError("{" + Tensor("a", "F4", "[3]", "[0,1]") + "}", 1, "need 1");
  EXPECT_EQ(StatusOf("{" + Tensor("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1).code(),
            StatusCode::kLimit);
}

TEST(SafetensorsHeader, RefusesLayoutsThatCannotBe) {
  const auto two = [](const std::string& first, const std::string& second) {
    return "{" + Tensor("a", "U8", "[4]", first) + "," + Tensor("b", "U8", "[4]", second) + "}";
  };
  EXPECT_TRUE(StatusOf(two("[0,4]", "[4,8]"), 8).ok());
  EXPECT_TRUE(StatusOf(two("[4,8]", "[0,4]"), 8).ok());
  ExpectFormatError(two("[0,4]", "[3,7]"), 8, "\"b\": data_offsets begin at 3");
  ExpectFormatError(two("[0,4]", "[0,4]"), 8, "overlaps");
  ExpectFormatError(two("[0,4]", "[5,9]"), 9, "gap");
  ExpectFormatError(two("[1,5]", "[5,9]"), 9, "gap");
  ExpectFormatError(two("[0,4]", "[8,4]"), 8, "backwards");
  ExpectFormatError(two("[0,4]", "[4,8]"), 7, "is it complete?");
  ExpectFormatError(two("[0,4]", "[4,8]"), 9, "holds 9 bytes");
  ExpectFormatError("{}", 1, "holds 1 bytes");
  ExpectFormatError(
      "{" + Tensor("a", "U8", "[4]", "[18446744073709551611,18446744073709551615]") + "}", 4,
      "gap");
}

TEST(SafetensorsHeader, NumberOfTensorsIsLimited) {
  const auto with_tensors = [](int64_t count) {
    std::string header = "{";
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0) header += ',';
      header += Tensor("model.layers." + std::to_string(i) + ".weight", "U8", "[0]", "[0,0]");
    }
    return header + "}";
  };
  EXPECT_TRUE(StatusOf(with_tensors(limits::kMaxTensors), 0).ok());
  EXPECT_EQ(StatusOf(with_tensors(limits::kMaxTensors + 1), 0).code(), StatusCode::kLimit);
  std::string metadata = "{\"__metadata__\":{\"x\":\"\"";
  for (int64_t i = 0; i < limits::kMaxTensors; ++i)
    metadata += ",\"" + std::to_string(i) + "\":\"\"";
  EXPECT_EQ(StatusOf(metadata + "}}", 0).code(), StatusCode::kLimit);
}

TEST(SafetensorsHeader, BytesOfNamesAreLimited) {
  std::string header = "{\"__metadata__\":{\"\":\"\"";
  for (char c = 'a'; c < 'f'; ++c) header += ",\"" + std::string(7u << 19, c) + "\":\"\"";
  EXPECT_EQ(StatusOf(header + "}}", 0).code(), StatusCode::kLimit);
}

TEST(SafetensorsHeader, LongTokensAreRefusedBeforeTheyAreKept) {
  const std::string five_mib(5u << 20, '1');
  for (const std::string& header : {"{\"" + five_mib + "\":1}", "{\"a\":" + five_mib + "}",
                                    "{" + std::string(5u << 20, ' ') + "}"}) {
    EXPECT_EQ(StatusOf(header, 0).code(), StatusCode::kLimit);
  }
  EXPECT_TRUE(
      StatusOf("{\"__metadata__\":{\"k\":\"" + std::string(1u << 20, '\\') + "\"}}", 0).ok());
}

class SafetensorsHeaderSweep : public testing::Test {
 protected:
  const std::string header_ = "{\"__metadata__\":{\"format\":\"pt\"}," +
                              Tensor("model.norm.weight", "F32", "[2]", "[0,8]") + "," +
                              Tensor("lm_head", "BF16", "[1,2]", "[8,12]") + "}  ";
  const std::string file_ = SafetensorsBytes(header_, std::string(12, 'd'));
};

TEST_F(SafetensorsHeaderSweep, EveryTruncationIsRefused) {
  ASSERT_TRUE(Parse(file_).ok());
  for (size_t size = 0; size < file_.size(); ++size) {
    EXPECT_FALSE(Parse(file_.substr(0, size)).ok()) << size;
  }
}

TEST_F(SafetensorsHeaderSweep, EveryBitFlipIsRefusedOrStillDescribesTheFile) {
  for (size_t bit = 0; bit < 8 * (8 + header_.size()); ++bit) {
    std::string flipped = file_;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto entries = Parse(flipped);
    if (!entries.ok()) {
      EXPECT_EQ(entries.status().message().find('\n'), std::string::npos);
      continue;
    }
    uint64_t size_bytes = 0;
    for (const TensorEntry& entry : *entries) {
      size_bytes += entry.size_bytes;
      EXPECT_LE(entry.offset_bytes + entry.size_bytes, file_.size()) << bit;
    }
    EXPECT_EQ(size_bytes, 12u) << bit;
  }
}

}  // namespace
}  // namespace fastkv
