// Published tokenizers against the results of the library that they were published with.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/json.h"
#include "io/memory_file_system.h"
#include "tests/unpack_testdata.h"
#include "text/pre_tokenizer_pattern.h"
#include "text/tokenizer.h"
#include "text/tokenizer_variant_for_test.h"

namespace fastkv {
namespace {

constexpr uint64_t kMaxFileBytes = 64 << 20;

std::string Folder(const std::string& name) {
  return UnpackedTestArchive("tokenizers") + "/" + name;
}

Json ReadJson(const std::string& path) {
  Result<Json> json = ReadJsonFile(RealFileSystem(), path, kMaxFileBytes);
  EXPECT_TRUE(json.ok()) << json.status().message();
  return std::move(json).value();
}

// A text in as many segments as it has characters, trusted all the same.
std::vector<TextSegment> CharacterByCharacter(const std::string& text) {
  std::vector<TextSegment> segments;
  for (const char c : text) {
    const bool continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    if (!continues) segments.push_back({"", true});
    segments.back().text += c;
  }
  return segments;
}

void CheckCases(const Tokenizer& tokenizer, const Json& cases) {
  ASSERT_GT(cases.size(), 50u);
  for (const Json& item : cases) {
    const std::string text = item["text"].get<std::string>();
    const std::vector<int32_t> ids = item["ids"].get<std::vector<int32_t>>();
    const std::string decoded = item["decoded"].get<std::string>();
    const Result<std::vector<int32_t>> encoded = tokenizer.Encode(text, {});
    ASSERT_TRUE(encoded.ok()) << encoded.status().message();
    EXPECT_EQ(*encoded, ids) << DumpJson(Json(text));
    const auto from_segments = tokenizer.Encode(CharacterByCharacter(text), {});
    ASSERT_TRUE(from_segments.ok()) << from_segments.status().message();
    EXPECT_EQ(*from_segments, ids) << DumpJson(Json(text));
    EXPECT_EQ(tokenizer.Decode(ids), decoded) << DumpJson(Json(text));
    std::string streamed;
    Tokenizer::StreamingDecoder decoder(tokenizer);
    for (const int32_t id : ids) streamed += decoder.Take(id);
    streamed += decoder.Finish();
    EXPECT_EQ(streamed, decoded) << DumpJson(Json(text));
  }
}

class TokenizerGoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerGoldenTest, EveryCase) {
  const auto tokenizer = Tokenizer::Load(RealFileSystem(), Folder(GetParam()));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  CheckCases(**tokenizer, ReadJson(Folder(GetParam()) + "/cases.json"));
}

INSTANTIATE_TEST_SUITE_P(Models, TokenizerGoldenTest,
                         testing::Values("qwen3", "deepseek-v3", "mistral-7b-v0.1", "phi-3-mini",
                                         "phi-2"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (c == '-' || c == '.') c = '_';
                           }
                           return name;
                         });

TEST(TokenizerGoldenTest, NeedleModel) {
  const auto tokenizer = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  CheckCases(**tokenizer, ReadJson(Folder("needle-16m") + "/cases.json"));
}

// Layouts of other published models, made by exchanging parts of the five.
TEST(TokenizerGoldenTest, Variants) {
  const Json variants = ReadJson(Folder("variants.json"));
  ASSERT_EQ(variants.size(), 17u);
  for (const Json& variant : variants) {
    SCOPED_TRACE(variant["name"].get<std::string>());
    const Json file =
        WithParts(ReadJson(Folder(variant["base"].get<std::string>()) + "/tokenizer.json"),
                  variant["replace"]);
    MemoryFileSystem files;
    files.Put("model/tokenizer.json", DumpJson(file));
    const auto tokenizer = Tokenizer::Load(files, "model");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    CheckCases(**tokenizer, variant["cases"]);
  }
}

// The expressions of real files must reach the scanners, letter for letter.
TEST(TokenizerGoldenTest, PublishedExpressionsHaveScanners) {
  std::vector<Json> roots;
  for (const char* name : {"qwen3", "deepseek-v3"}) {
    roots.push_back(ReadJson(Folder(name) + "/tokenizer.json")["pre_tokenizer"]);
  }
  for (const Json& variant : ReadJson(Folder("variants.json"))) {
    const auto pre_tokenizer = variant["replace"].find("pre_tokenizer");
    if (pre_tokenizer != variant["replace"].end()) roots.push_back(*pre_tokenizer);
  }
  int num_expressions = 0;
  for (const Json& root : roots) {
    const auto members = root.find("pretokenizers");
    if (members == root.end()) continue;
    for (const Json& member : *members) {
      if (member["type"] != "Split") continue;
      const std::string expression = member["pattern"]["Regex"].get<std::string>();
      if (expression == "[0-9][0-9][0-9]") continue;
      ++num_expressions;
      EXPECT_NE(MakeScanner(expression), nullptr) << expression;
    }
  }
  EXPECT_EQ(num_expressions, 9);
}

TEST(TokenizerGoldenTest, SpecialTokensOfTheConfiguration) {
  struct Expected {
    const char* folder;
    std::optional<int32_t> bos_id;
    std::optional<int32_t> eos_id;
    std::vector<int32_t> around_nothing;  // what add_special_tokens gives for an empty text
  };
  const std::vector<Expected> all = {
      {"qwen3", std::nullopt, 151645, {}}, {"deepseek-v3", 0, 1, {0}},
      {"mistral-7b-v0.1", 1, 2, {1}},      {"phi-3-mini", 1, 32000, {}},
      {"phi-2", 50256, 50256, {}},
  };
  for (const Expected& expected : all) {
    SCOPED_TRACE(expected.folder);
    const auto tokenizer = Tokenizer::Load(RealFileSystem(), Folder(expected.folder));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    EXPECT_EQ((*tokenizer)->bos_id(), expected.bos_id);
    EXPECT_EQ((*tokenizer)->eos_id(), expected.eos_id);
    EXPECT_TRUE((*tokenizer)->is_special(*expected.eos_id));
    EXPECT_EQ(*(*tokenizer)->Encode("", {.add_special_tokens = true}), expected.around_nothing);
  }
}

}  // namespace
}  // namespace fastkv
