#include "io/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "io/memory_file_system.h"

namespace fastkv {
namespace {

StatusCode CodeOf(std::string_view text) { return ParseJson(text).status().code(); }

TEST(ParseJson, KeepsOrderAndTellsIntegersFromFloats) {
  const Result<Json> value = ParseJson(R"({"z":1,"a":[1.0,-2,true,null,"\u00e9"],"m":{}})");
  ASSERT_TRUE(value.ok()) << value.status().message();
  EXPECT_EQ(value->begin().key(), "z");
  EXPECT_TRUE((*value)["z"].is_number_integer());
  EXPECT_TRUE((*value)["a"][0].is_number_float());
  EXPECT_EQ((*value)["a"][4], "é");
  EXPECT_EQ(DumpJson(*value), R"({"z":1,"a":[1.0,-2,true,null,"é"],"m":{}})");
}

TEST(ParseJson, ScalarsAloneAreDocuments) {
  for (const char* text : {"1", "\"x\"", "null", "[]", "{}", " -0.5 "}) {
    EXPECT_TRUE(ParseJson(text).ok()) << text;
  }
}

TEST(ParseJson, RefusesWhatIsNotJson) {
  for (const char* text :
       {"",    " ",        "{",       "}",     "[1,]",    "{\"a\":1,}", "{\"a\"}",
        "nul", "01",       "1.",      "+1",    "NaN",     "Infinity",   "[1] 2",
        "'a'", "\"\x01\"", "\"\\x\"", "\"abc", "// c\n1", "\xff",       "{1:2}"}) {
    EXPECT_EQ(CodeOf(text), StatusCode::kFormat) << text;
  }
  EXPECT_EQ(CodeOf(std::string_view("1\0", 2)), StatusCode::kFormat);
}

TEST(ParseJson, RefusesInvalidText) {
  for (const char* text :
       {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800x\"", "\"\\ud800\\u0041\"", "\"\xf4\x90\x80\x80\""}) {
    EXPECT_EQ(CodeOf(text), StatusCode::kFormat) << text;
  }
  EXPECT_TRUE(ParseJson("\"\\ud83d\\ude00\"").ok());
}

TEST(ParseJson, RefusesNumbersBeyondDouble) {
  for (const char* text : {"1e999", "-1e999", "[1e400]"}) {
    EXPECT_EQ(CodeOf(text), StatusCode::kFormat) << text;
  }
  EXPECT_NE(ParseJson("1e999").status().message().find("out of range"), std::string::npos);
  EXPECT_TRUE(ParseJson("123456789012345678901234567890").ok()) << "finite as a double";
}

TEST(ParseJson, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_EQ(CodeOf(R"({"a":1,"a":2})"), StatusCode::kFormat);
  EXPECT_EQ(CodeOf(R"([{"b":{"a":1,"\u0061":2}}])"), StatusCode::kFormat);
  EXPECT_TRUE(ParseJson(R"([{"a":1},{"a":2}])").ok());
  EXPECT_NE(ParseJson(R"({"key":1,"key":2})").status().message().find("\"key\""),
            std::string::npos);
}

TEST(ParseJson, DepthIsLimited) {
  const auto nested = [](int depth, const std::string& open, const std::string& close) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += open;
    text += "1";
    for (int i = 0; i < depth; ++i) text += close;
    return text;
  };
  EXPECT_TRUE(ParseJson(nested(64, "[", "]")).ok());
  EXPECT_TRUE(ParseJson(nested(64, "{\"a\":", "}")).ok());
  EXPECT_EQ(CodeOf(nested(65, "[", "]")), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(nested(65, "{\"a\":", "}")), StatusCode::kLimit);
  EXPECT_EQ(CodeOf(std::string(10'000'000, '[')), StatusCode::kLimit);
}

TEST(ParseJson, NumberOfContainersIsLimited) {
  std::string text = "[";
  for (int i = 0; i < 500'000; ++i) text += "[],";
  EXPECT_EQ(CodeOf(text), StatusCode::kLimit);
}

TEST(ParseJson, ManyKeysTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  text += "\"last\":0}";
  const Result<Json> value = ParseJson(text);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->size(), 200'001u);
}

TEST(DumpJson, MendsInvalidTextAndNumbers) {
  EXPECT_EQ(DumpJson(Json("a\xff"
                          "b")),
            "\"a\xef\xbf\xbd"
            "b\"");
  EXPECT_EQ(DumpJson(Json(std::nan(""))), "null");
  EXPECT_EQ(DumpJson(Json::array({"[", "{", Json::object(), Json::array(), ","})),
            R"(["[","{",{},[],","])");
}

TEST(DumpJson, DoesNotRecurse) {
  Json value = 1;
  for (int i = 0; i < 1000; ++i) value = Json::array({std::move(value)});
  EXPECT_EQ(DumpJson(value).size(), 2001u);
}

TEST(ReadJsonFile, MessagesNameThePath) {
  MemoryFileSystem files;
  files.Put("/m/config.json", "{\"a\":1}");
  files.Put("/m/bad.json", "{\"a\"");
  EXPECT_EQ((*ReadJsonFile(files, "/m/config.json", 100))["a"], 1);
  const Status bad = ReadJsonFile(files, "/m/bad.json", 100).status();
  EXPECT_EQ(bad.code(), StatusCode::kFormat);
  EXPECT_NE(bad.message().find("/m/bad.json"), std::string::npos);
  EXPECT_EQ(ReadJsonFile(files, "/m/config.json", 3).status().code(), StatusCode::kLimit);
  EXPECT_EQ(ReadJsonFile(files, "/m/none.json", 3).status().code(), StatusCode::kNotFound);
}

class JsonFieldsTest : public testing::Test {
 protected:
  Json object_ = *ParseJson(
      R"({"int":7,"float":1.5,"yes":true,"text":"t\n","none":null,"huge":18446744073709551615})");
  JsonFields fields_ = *JsonFields::Of(object_, "config.json");
};

TEST_F(JsonFieldsTest, ReadsEachType) {
  EXPECT_EQ(*fields_.Int("int", 0, 7), 7);
  EXPECT_EQ(*fields_.Number("int", 0, 7), 7.0);
  EXPECT_EQ(*fields_.Number("float", 0, 7), 1.5);
  EXPECT_TRUE(*fields_.Bool("yes"));
  EXPECT_EQ(*fields_.String("text"), "t\n");
}

TEST_F(JsonFieldsTest, DefaultsReplaceMissingAndNullFieldsOnly) {
  EXPECT_EQ(*fields_.IntOr("none", 3, 0, 9), 3);
  EXPECT_EQ(*fields_.IntOr("missing", 3, 0, 9), 3);
  EXPECT_EQ(*fields_.IntOr("int", 3, 0, 9), 7);
  EXPECT_EQ(*fields_.NumberOr("missing", 0.5, 0, 9), 0.5);
  EXPECT_EQ(*fields_.BoolOr("missing", true), true);
  EXPECT_EQ(*fields_.StringOr("missing", "d"), "d");
  EXPECT_FALSE(fields_.IntOr("float", 3, 0, 9).ok());
  EXPECT_FALSE(fields_.NumberOr("text", 3, 0, 9).ok());
  EXPECT_FALSE(fields_.BoolOr("int", false).ok());
  EXPECT_FALSE(fields_.StringOr("int", "").ok());
}

TEST_F(JsonFieldsTest, WrongValuesAreNamed) {
  for (const Status& status :
       {fields_.Int("int", 8, 9).status(), fields_.Int("int", 0, 6).status(),
        fields_.Int("huge", 0, INT64_MAX).status(), fields_.Int("float", 0, 9).status(),
        fields_.Int("missing", 0, 9).status(), fields_.Number("float", 2, 3).status(),
        fields_.Number("text", 2, 3).status(), fields_.Bool("int").status(),
        fields_.String("yes").status()}) {
    EXPECT_EQ(status.code(), StatusCode::kFormat);
    EXPECT_EQ(status.message().find("config.json: field \""), 0u) << status.message();
    EXPECT_EQ(status.message().find('\n'), std::string::npos) << status.message();
  }
  EXPECT_EQ(fields_.Int("text", 0, 9).status().message(),
            R"(config.json: field "text": expected an integer from 0 to 9, found "t\n")");
  EXPECT_EQ(fields_.Bool("none").status().message(),
            R"(config.json: field "none": expected true or false, found nothing)");
}

TEST(JsonFields, NeedsAnObject) {
  EXPECT_EQ(JsonFields::Of(Json::array(), "x.json").status().message(),
            "x.json: expected an object, found an array");
}

}  // namespace
}  // namespace fastkv
