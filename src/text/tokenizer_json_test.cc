#include "text/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/memory_file_system.h"
#include "text/tokenizer.h"

namespace fastkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json SmallFile() {
  return ParseJson(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 4, "content": "<s>", "single_word": false, "lstrip": false,
                      "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": null,
              "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
              "byte_fallback": false, "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3},
              "merges": ["a b", ["ab", "a"]]}})")
      .value();
}

Status LoadText(const std::string& text) {
  MemoryFileSystem files;
  files.Put("m/tokenizer.json", text);
  return Tokenizer::Load(files, "m").status();
}

Status LoadFile(const Json& file) { return LoadText(DumpJson(file)); }

void ExpectRefused(const Json& file, StatusCode code, const std::string& message) {
  const Status status = LoadFile(file);
  ASSERT_FALSE(status.ok()) << message;
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), HasSubstr(message));
  EXPECT_THAT(status.message(), HasSubstr("tokenizer.json"));
  EXPECT_EQ(status.message().find('\n'), std::string::npos) << status.message();
}

TEST(TokenizerJsonTest, ASmallFileLoads) {
  MemoryFileSystem files;
  files.Put("m/tokenizer.json", DumpJson(SmallFile()));
  const auto tokenizer = Tokenizer::Load(files, "m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_THAT(*(*tokenizer)->Encode("abaab<s>", {}), ElementsAre(3, 2, 4));
  EXPECT_EQ((*tokenizer)->Decode(std::vector<int32_t>{0, 1}), "a b");
}

TEST(TokenizerJsonTest, BadIdsAreRefused) {
  const auto with_vocabulary = [](const char* vocabulary) {
    Json file = SmallFile();
    file["model"]["vocab"] = ParseJson(vocabulary).value();
    return file;
  };
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":-3})"), StatusCode::kFormat,
                "must not be negative");
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":2})"), StatusCode::kFormat,
                "the id belongs to \"ab\"");
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":3,"c":5})"), StatusCode::kFormat,
                "no token has the id 4");
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":1000000000})"), StatusCode::kLimit,
                "ids must be below");
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":3.5})"), StatusCode::kFormat,
                "integer");
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":18446744073709551615})"),
                StatusCode::kFormat, "integer");
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":3,"":4})"), StatusCode::kFormat,
                "the text is empty");
  ExpectRefused(with_vocabulary(R"({"a":0,"b":1,"ab":2,"aba":3,"<0x-1>":4})"), StatusCode::kFormat,
                "looks like a byte");
  ExpectRefused(with_vocabulary("{}"), StatusCode::kFormat, "");
  std::string text = DumpJson(SmallFile());
  text.replace(text.find("\"aba\":3"), 7, "\"a\":3");
  EXPECT_THAT(LoadText(text).message(), HasSubstr("has the id 0 already")) << "a token twice";
}

TEST(TokenizerJsonTest, BadMergesAreRefused) {
  const auto with_merge = [](const char* merge) {
    Json file = SmallFile();
    file["model"]["merges"].push_back(ParseJson(merge).value());
    return file;
  };
  for (const char* merge : {R"("ab")", R"("a  b")", R"("a b a")", R"(["a"])", R"(["a","b","a"])",
                            R"(["a",1])", "1", "null", R"([])"}) {
    ExpectRefused(with_merge(merge), StatusCode::kFormat, "model.merges[2]");
  }
  ExpectRefused(with_merge(R"("a c")"), StatusCode::kFormat, "names the token \"c\"");
  ExpectRefused(with_merge(R"("b b")"), StatusCode::kFormat, "makes \"bb\"");
  ExpectRefused(with_merge(R"("a ")"), StatusCode::kFormat, "model.merges[2]");
}

TEST(TokenizerJsonTest, TooManyMergesAreRefused) {
  std::string text = DumpJson(SmallFile());
  std::string many;
  for (int i = 0; i < 5'000'001; ++i) many += "\"a b\",";
  text.insert(text.find("\"a b\""), many);
  const Status status = LoadText(text);
  EXPECT_EQ(status.code(), StatusCode::kLimit) << status.message();
}

TEST(TokenizerJsonTest, BadAddedTokensAreRefused) {
  const auto with_token = [](int64_t id, const char* content) {
    Json file = SmallFile();
    file["added_tokens"].push_back({{"id", id}, {"content", content}});
    return file;
  };
  ExpectRefused(with_token(6, "<x>"), StatusCode::kFormat, "the next free id is 5");
  ExpectRefused(with_token(1'000'000'000, "<x>"), StatusCode::kFormat, "added_tokens");
  ExpectRefused(with_token(-1, "<x>"), StatusCode::kFormat, "added_tokens");
  ExpectRefused(with_token(4, "<x>"), StatusCode::kFormat, "the id is used by");
  ExpectRefused(with_token(5, "<s>"), StatusCode::kFormat, "has the id 4 already");
  ExpectRefused(with_token(5, ""), StatusCode::kFormat, "empty");
  EXPECT_TRUE(LoadFile(with_token(5, "<x>")).ok());
}

// What the reference does with ids that do not fit: a token that the model has keeps the model's
// id, and others are numbered from the end of the vocabulary.
TEST(TokenizerJsonTest, AddedTokensAreNumberedAsByTheReference) {
  Json file = SmallFile();
  file["added_tokens"] = ParseJson(R"([{"id": 2, "content": "[X]"}, {"id": 4, "content": "ab"},
                                       {"id": 5, "content": "[Y]"}])")
                             .value();
  MemoryFileSystem files;
  files.Put("m/tokenizer.json", DumpJson(file));
  const auto tokenizer = Tokenizer::Load(files, "m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ((*tokenizer)->TokenToId("[X]"), 4);
  EXPECT_EQ((*tokenizer)->TokenToId("ab"), 2);
  EXPECT_EQ((*tokenizer)->TokenToId("[Y]"), 5);
}

TEST(TokenizerJsonTest, UnknownComponentsAreNamed) {
  const auto with = [](const char* key, const char* value) {
    Json file = SmallFile();
    file[key] = ParseJson(value).value();
    return file;
  };
  const auto unsupported = [&](const char* key, const char* value, const char* message) {
    ExpectRefused(with(key, value), StatusCode::kUnsupported, message);
  };
  unsupported("normalizer", R"({"type": "Precompiled", "precompiled_charsmap": ""})",
              "Precompiled");
  unsupported("pre_tokenizer", R"({"type": "BertPreTokenizer"})", "BertPreTokenizer");
  unsupported("decoder", R"({"type": "WordPiece"})", "WordPiece");
  unsupported("post_processor", R"({"type": "RobertaProcessing"})", "RobertaProcessing");
  unsupported("pre_tokenizer",
              R"({"type": "Split", "pattern": {"Regex": "[a&&b]"}, "behavior": "Isolated"})",
              "intersection");
  unsupported("pre_tokenizer",
              R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Odd"})", "Odd");
  unsupported("model", R"({"type": "Unigram", "vocab": [["a", 0.5]]})", "Unigram");
  unsupported("model", R"({"type": "WordPiece", "vocab": {"a": 0}})", "WordPiece");
  unsupported("model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1})",
              "dropout");
  unsupported("model",
              R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"})",
              "end_of_word_suffix");
}

TEST(TokenizerJsonTest, MalformedFilesAreRefused) {
  for (
      const char* text :
      {"", "[]", "null", "{", "{}", R"({"model": 1})", R"({"model": {"vocab": {}}} x)",
       R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": {}}})",
       R"({"model": {"type": "BPE", "vocab": {"a": "0"}, "merges": []}})",
       R"({"model": {"type": 1, "vocab": {"a": 0}, "merges": []}})",
       R"({"model": {"type": "BPE", "vocab": {"\ud800": 0}, "merges": []}})", "\xff",
       "{\"a\": 1e999}",
       R"({"model": {"vocab": {"a": 0}, "merges": []}, "model": {"vocab": {"a": 0}, "merges": []}})",
       R"({"model": {"vocab": {"a": 0}, "merges": [], "vocab": {"b": 0}}})",
       R"({"model": {"vocab": {"a": 0}, "merges": [], "type": "BPE", "type": "BPE"}})"}) {
    const Status status = LoadText(text);
    EXPECT_FALSE(status.ok()) << text;
    EXPECT_EQ(status.code(), StatusCode::kFormat) << text << ": " << status.message();
  }
  const Status deep = LoadText(std::string(1'000'000, '['));
  EXPECT_FALSE(deep.ok());
  Json nested = nullptr;
  for (int i = 0; i < 40; ++i) {
    nested = Json{{"type", "Sequence"}, {"normalizers", Json::array({nested})}};
  }
  Json file = SmallFile();
  file["normalizer"] = nested;
  EXPECT_FALSE(LoadFile(file).ok()) << "too deep";
}

TEST(TokenizerJsonTest, SequencesUnfoldInOrder) {
  Json file = SmallFile();
  file["normalizer"] = ParseJson(R"({"type": "Sequence", "normalizers": [
      {"type": "Replace", "pattern": {"String": "x"}, "content": "y"},
      {"type": "Sequence", "normalizers": [
         {"type": "Replace", "pattern": {"String": "y"}, "content": "ab"}]},
      {"type": "Sequence", "normalizers": []}]})")
                           .value();
  MemoryFileSystem files;
  files.Put("m/tokenizer.json", DumpJson(file));
  const auto tokenizer = Tokenizer::Load(files, "m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_THAT(*(*tokenizer)->Encode("x", {}), ElementsAre(2));
}

std::vector<int32_t> SpecialTokensAround(const Json& file, const std::string& config) {
  MemoryFileSystem files;
  files.Put("m/tokenizer.json", DumpJson(file));
  if (!config.empty()) files.Put("m/tokenizer_config.json", config);
  const auto tokenizer = Tokenizer::Load(files, "m");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return *(*tokenizer)->Encode("a", {.add_special_tokens = true});
}

TEST(TokenizerJsonTest, TemplateAndConfigurationDecideOnSpecialTokens) {
  Json file = SmallFile();
  EXPECT_THAT(SpecialTokensAround(file, ""), ElementsAre(0));
  EXPECT_THAT(SpecialTokensAround(file, R"({"bos_token": "<s>", "add_bos_token": true})"),
              ElementsAre(4, 0));
  EXPECT_THAT(
      SpecialTokensAround(file, R"({"eos_token": {"content": "<s>"}, "add_eos_token": true})"),
      ElementsAre(0, 4));
  file["post_processor"] = ParseJson(R"({"type": "Sequence", "processors": [
      {"type": "ByteLevel"},
      {"type": "TemplateProcessing",
       "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                  {"Sequence": {"id": "A", "type_id": 0}}],
       "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}}]})")
                               .value();
  EXPECT_THAT(SpecialTokensAround(file, ""), ElementsAre(4, 0));
  EXPECT_THAT(SpecialTokensAround(file, R"({"bos_token": "<s>"})"), ElementsAre(4, 0));
  EXPECT_THAT(SpecialTokensAround(file, R"({"bos_token": "<s>", "add_bos_token": false})"),
              ElementsAre(0));
  EXPECT_THAT(SpecialTokensAround(file, R"({"bos_token": "<s>", "add_bos_token": true})"),
              ElementsAre(4, 0));
  file["post_processor"]["processors"][1]["special_tokens"]["<s>"]["ids"][0] = 5;
  EXPECT_EQ(LoadFile(file).code(), StatusCode::kFormat) << "no such id";
  file["post_processor"]["processors"][1]["special_tokens"] = Json::object();
  EXPECT_EQ(LoadFile(file).code(), StatusCode::kFormat) << "no such token";
}

TEST(TokenizerJsonTest, ABrokenConfigurationIsNamed) {
  MemoryFileSystem files;
  files.Put("m/tokenizer.json", DumpJson(SmallFile()));
  files.Put("m/tokenizer_config.json", R"({"bos_token": 3})");
  const Status status = Tokenizer::Load(files, "m").status();
  EXPECT_EQ(status.code(), StatusCode::kFormat);
  EXPECT_THAT(status.message(), HasSubstr("bos_token"));
  EXPECT_EQ(Tokenizer::Load(files, "elsewhere").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace fastkv
