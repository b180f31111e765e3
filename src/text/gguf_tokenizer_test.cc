#include "text/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "io/gguf_bytes.h"
#include "io/json.h"
#include "io/memory_file_system.h"
#include "tests/unpack_testdata.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/tokenizer_variant_for_test.h"

namespace fastkv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kMaxFileBytes = 64 << 20;
constexpr char kPath[] = "/m/model.gguf";

enum : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

Result<std::unique_ptr<Tokenizer>> LoadGguf(const GgufBytes& bytes) {
  MemoryFileSystem files;
  files.Put(kPath, bytes.Build());
  return Tokenizer::Load(files, kPath);
}

std::string RefusalOf(const GgufBytes& bytes) { return LoadGguf(bytes).status().message(); }

Json ReadJson(const std::string& name) {
  Result<Json> json =
      ReadJsonFile(RealFileSystem(), UnpackedTestArchive("tokenizers") + "/" + name, kMaxFileBytes);
  EXPECT_TRUE(json.ok()) << json.status().message();
  return std::move(json).value();
}

// Tokens and types as the usual converter takes them from a tokenizer.json.
struct Tokens {
  std::vector<std::string> texts;
  std::vector<int32_t> types;
};

Tokens TokensOf(const Json& file, bool has_byte_tokens) {
  Tokens tokens;
  const auto put = [&](size_t id, const std::string& text, int32_t type) {
    if (id >= tokens.texts.size()) {
      tokens.texts.resize(id + 1);
      tokens.types.resize(id + 1, kUnused);
    }
    tokens.texts[id] = text;
    tokens.types[id] = type;
  };
  for (const auto& [text, id] : file["model"]["vocab"].items()) {
    const bool is_byte = has_byte_tokens && text.size() == 6 && text.starts_with("<0x");
    put(id.get<size_t>(), text, is_byte ? kByte : kNormal);
  }
  for (const Json& added : file["added_tokens"]) {
    const std::string text = added["content"].get<std::string>();
    const int32_t type = text == "<unk>"                ? kUnknown
                         : added["special"].get<bool>() ? kControl
                                                        : kUserDefined;
    put(added["id"].get<size_t>(), text, type);
  }
  // The rows that an embedding has beyond the vocabulary.
  for (int i = 0; i < 3; ++i) {
    put(tokens.texts.size(), "[PAD" + std::to_string(tokens.texts.size()) + "]", kUnused);
  }
  return tokens;
}

GgufBytes MergesAsGguf(const Json& file, const std::string& pre) {
  const Tokens tokens = TokensOf(file, false);
  std::vector<std::string> merges;
  for (const Json& merge : file["model"]["merges"]) {
    merges.push_back(merge.is_string()
                         ? merge.get<std::string>()
                         : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  GgufBytes bytes;
  bytes.String("tokenizer.ggml.model", "gpt2")
      .String("tokenizer.ggml.pre", pre)
      .Strings("tokenizer.ggml.tokens", tokens.texts)
      .Ints("tokenizer.ggml.token_type", tokens.types)
      .Strings("tokenizer.ggml.merges", merges);
  return bytes;
}

// The merges of a tokenizer.json that was made from scores stand in the order of what they make.
GgufBytes ScoresAsGguf(const Json& file) {
  const Tokens tokens = TokensOf(file, true);
  std::map<std::string, float> score_of;
  for (const Json& merge : file["model"]["merges"]) {
    std::string product = merge.get<std::string>();
    product.erase(product.find(' '), 1);
    score_of.emplace(product, -static_cast<float>(score_of.size()));
  }
  std::vector<float> scores;
  for (const std::string& text : tokens.texts) {
    const auto found = score_of.find(text);
    scores.push_back(found == score_of.end() ? 0.0F : found->second);
  }
  GgufBytes bytes;
  bytes.String("tokenizer.ggml.model", "llama")
      .Strings("tokenizer.ggml.tokens", tokens.texts)
      .Ints("tokenizer.ggml.token_type", tokens.types)
      .Floats("tokenizer.ggml.scores", scores);
  return bytes;
}

void ExpectAgreement(const Json& file, const GgufBytes& bytes, const Json& cases) {
  MemoryFileSystem files;
  files.Put("/hf/tokenizer.json", DumpJson(file));
  const auto expected = Tokenizer::Load(files, "/hf");
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  const auto actual = LoadGguf(bytes);
  ASSERT_TRUE(actual.ok()) << actual.status().message();
  ASSERT_GT(cases.size(), 50U);
  for (const Json& item : cases) {
    const std::string text = item["text"].get<std::string>();
    const std::vector<int32_t> ids = *(*expected)->Encode(text, {});
    EXPECT_EQ(*(*actual)->Encode(text, {}), ids) << DumpJson(Json(text));
    EXPECT_EQ(*(*actual)->Encode(text, {.parse_special = false}),
              *(*expected)->Encode(text, {.parse_special = false}))
        << DumpJson(Json(text));
    for (const bool skip_special : {false, true}) {
      EXPECT_EQ((*actual)->Decode(ids, skip_special), (*expected)->Decode(ids, skip_special))
          << DumpJson(Json(text));
    }
  }
}

// White space that a token swallows and tokens sought in normalized text have no keys.
Json WithPlainAddedTokens(Json file) {
  for (Json& added : file["added_tokens"]) {
    added["lstrip"] = added["rstrip"] = added["single_word"] = added["normalized"] = false;
  }
  return file;
}

Json Variant(const std::string& name) {
  for (const Json& variant : ReadJson("variants.json")) {
    if (variant["name"] == name) return variant;
  }
  ADD_FAILURE() << name;
  return Json::object();
}

// The tokenizer.json of a variant: the base with some parts replaced.
Json FileOf(const Json& variant) {
  return WithParts(ReadJson(variant["base"].get<std::string>() + "/tokenizer.json"),
                   variant["replace"]);
}

TEST(GgufTokenizer, AgreesWithTokenizerJsonOfQwen) {
  const Json file = ReadJson("qwen3/tokenizer.json");
  ExpectAgreement(file, MergesAsGguf(file, "qwen2"), ReadJson("qwen3/cases.json"));
}

TEST(GgufTokenizer, AgreesWithTokenizerJsonOfGpt2) {
  const Json file = WithPlainAddedTokens(ReadJson("phi-2/tokenizer.json"));
  ExpectAgreement(file, MergesAsGguf(file, "gpt-2"), ReadJson("phi-2/cases.json"));
}

TEST(GgufTokenizer, AgreesWithTokenizerJsonOfSmolLm) {
  const Json variant = Variant("digits then ByteLevel (SmolLM2, StarCoder2)");
  const Json file = FileOf(variant);
  ExpectAgreement(file, MergesAsGguf(file, "smollm"), variant["cases"]);
}

TEST(GgufTokenizer, AgreesWithTokenizerJsonOfLlama3) {
  const Json variant = Variant("ignore_merges");
  const Json file = FileOf(variant);
  ExpectAgreement(file, MergesAsGguf(file, "llama-bpe"), variant["cases"]);
}

TEST(GgufTokenizer, AgreesWithTokenizerJsonOfTekken) {
  const Json variant = Variant("Tekken pattern (Mistral-Nemo, Ministral)");
  Json file = FileOf(variant);
  file["model"]["ignore_merges"] = true;
  ExpectAgreement(file, MergesAsGguf(file, "tekken"), variant["cases"]);
}

TEST(GgufTokenizer, ScoresAgreeWithTokenizerJsonOfMistral) {
  const Json file = ReadJson("mistral-7b-v0.1/tokenizer.json");
  ExpectAgreement(file, ScoresAsGguf(file), ReadJson("mistral-7b-v0.1/cases.json"));
}

TEST(GgufTokenizer, ScoresAgreeWithTokenizerJsonOfPhi3) {
  const Json file = WithPlainAddedTokens(ReadJson("phi-3-mini/tokenizer.json"));
  ExpectAgreement(file, ScoresAsGguf(file).U32("tokenizer.ggml.eos_token_id", 32000),
                  ReadJson("phi-3-mini/cases.json"));
}

// The four steps of old files, each inside the pieces of the one before.
TEST(GgufTokenizer, CutsAsOldFilesWithoutAName) {
  const auto tokenizer =
      LoadGguf(GgufBytes()
                   .String("tokenizer.ggml.model", "gpt2")
                   .String("tokenizer.ggml.pre", "default")
                   .Strings("tokenizer.ggml.tokens", {"1", "2", "12", "a", "\u0120", "\u0120a", "!",
                                                      "a!", "\u01201", "21", "1212"})
                   .Strings("tokenizer.ggml.merges",
                            {"1 2", "\u0120 a", "a !", "\u0120 1", "2 1", "12 12"}));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  // Punctuation apart, digits in groups of three from the left and away from the space before.
  EXPECT_THAT(*(*tokenizer)->Encode("a! a", {}), ElementsAre(3, 6, 5));
  EXPECT_THAT(*(*tokenizer)->Encode(" 1212", {}), ElementsAre(4, 2, 0, 1));
}

// A small vocabulary of scores; "\u2581" stands for a space.
GgufBytes SmallScores() {
  GgufBytes bytes;
  bytes.String("tokenizer.ggml.model", "llama")
      .Strings("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "\u2581", "a",
                                         "b", "ab", "ba", "\u2581a", "aab", "<tool>"})
      .Ints("tokenizer.ggml.token_type",
            {kUnknown, kControl, kControl, kByte, kByte, kNormal, kNormal, kNormal, kNormal,
             kNormal, kNormal, kNormal, kUserDefined})
      .Floats("tokenizer.ggml.scores", {0, 0, 0, 0, 0, -9, -8, -7, -2, -2, -3, -1, 0});
  return bytes;
}

TEST(GgufTokenizer, JoinsTheHighestScoreAndTheLeftmostAmongEquals) {
  const auto tokenizer = LoadGguf(SmallScores().Bool("tokenizer.ggml.add_space_prefix", false));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const auto encode = [&](const char* text) { return *(*tokenizer)->Encode(text, {}); };
  EXPECT_THAT(encode("aba"), ElementsAre(8, 6));  // "ab" and "ba" are equals
  EXPECT_THAT(encode("bab"), ElementsAre(9, 7));
  EXPECT_THAT(encode("aab"), ElementsAre(11));    // only once "ab" is there
  EXPECT_THAT(encode(" ab"), ElementsAre(5, 8));  // -2 before -3
  EXPECT_THAT(encode(" aa"), ElementsAre(10, 6));
  EXPECT_THAT(encode("\u00e9"), ElementsAre(3, 4));  // bytes of a character that is no token
  EXPECT_THAT(encode("\u00e8"), ElementsAre(0));     // whose bytes are no tokens either
  EXPECT_THAT(encode("a<tool>b"), ElementsAre(6, 12, 7));
  EXPECT_EQ((*tokenizer)->Decode(encode(" a\u00e9")), " a\u00e9");
}

TEST(GgufTokenizer, PutsASpaceBeforeTextAndTakesItAway) {
  const auto tokenizer = LoadGguf(SmallScores());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const std::vector<int32_t> ids = *(*tokenizer)->Encode("aa", {});
  EXPECT_THAT(ids, ElementsAre(10, 6));
  EXPECT_EQ((*tokenizer)->Decode(ids), "aa");
  EXPECT_THAT(*(*tokenizer)->Encode("", {}), ElementsAre());
  EXPECT_THAT(*(*tokenizer)->Encode("aa", {.add_special_tokens = true}), ElementsAre(1, 10, 6));
  EXPECT_EQ((*tokenizer)->Decode(std::vector<int32_t>{1, 10, 6, 2}, /*skip_special=*/true), "aa");
}

TEST(GgufTokenizer, LongTextsWithScoresTakeTimeInProportion) {
  const auto tokenizer = LoadGguf(SmallScores());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const std::string text(1 << 20, 'a');
  const auto ids = (*tokenizer)->Encode(text, {});
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->size(), text.size());
}

GgufBytes SmallMerges(const std::string& pre) {
  GgufBytes bytes;
  bytes.String("tokenizer.ggml.model", "gpt2")
      .String("tokenizer.ggml.pre", pre)
      .Strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<eos>", "<bos>"})
      .Ints("tokenizer.ggml.token_type", {kNormal, kNormal, kNormal, kControl, kControl})
      .Strings("tokenizer.ggml.merges", {"a b"})
      .U32("tokenizer.ggml.bos_token_id", 4)
      .U32("tokenizer.ggml.eos_token_id", 3);
  return bytes;
}

TEST(GgufTokenizer, AddsTheBeginningAsTheModelWasTrained) {
  const auto encode = [](const GgufBytes& bytes) {
    const auto tokenizer = LoadGguf(bytes);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    EXPECT_EQ((*tokenizer)->bos_id(), 4);
    EXPECT_EQ((*tokenizer)->eos_id(), 3);
    return *(*tokenizer)->Encode("ab", {.add_special_tokens = true});
  };
  EXPECT_THAT(encode(SmallMerges("smollm")), ElementsAre(2));
  EXPECT_THAT(encode(SmallMerges("qwen2")), ElementsAre(2));
  EXPECT_THAT(encode(SmallMerges("llama-bpe")), ElementsAre(4, 2));
  EXPECT_THAT(encode(SmallMerges("tekken")), ElementsAre(4, 2));
  EXPECT_THAT(encode(SmallMerges("llama-bpe").Bool("tokenizer.ggml.add_bos_token", false)),
              ElementsAre(2));
  EXPECT_THAT(encode(SmallMerges("qwen2")
                         .Bool("tokenizer.ggml.add_bos_token", true)
                         .Bool("tokenizer.ggml.add_eos_token", true)),
              ElementsAre(4, 2, 3));
}

TEST(GgufTokenizer, PrefersAWholeTokenizerJson) {
  const std::string json = R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},)"
                           R"("added_tokens":[{"id":2,"content":"<s>","special":true}]})";
  const auto tokenizer = LoadGguf(GgufBytes()
                                      .String("tokenizer.ggml.model", "bert")
                                      .String("tokenizer.huggingface.json", json)
                                      .U32("tokenizer.ggml.bos_token_id", 2)
                                      .Bool("tokenizer.ggml.add_bos_token", true));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_THAT(*(*tokenizer)->Encode("ba", {.add_special_tokens = true}), ElementsAre(2, 1, 0));
  EXPECT_THAT(RefusalOf(GgufBytes().String("tokenizer.huggingface.json", "{")),
              HasSubstr("tokenizer.huggingface.json"));
}

TEST(GgufTokenizer, RefusesWhatItCannotBeSureOf) {
  EXPECT_THAT(RefusalOf(GgufBytes()),
              AllOf(HasSubstr(kPath), HasSubstr("\"tokenizer.ggml.model\" is missing")));
  EXPECT_THAT(RefusalOf(GgufBytes()
                            .String("tokenizer.ggml.model", "bert")
                            .Strings("tokenizer.ggml.tokens", {"a"})),
              HasSubstr("\"bert\" is not supported"));
  EXPECT_THAT(RefusalOf(SmallMerges("deepseek-llm")), HasSubstr("\"deepseek-llm\" is not known"));
  EXPECT_THAT(RefusalOf(GgufBytes()
                            .String("tokenizer.ggml.model", "gpt2")
                            .Strings("tokenizer.ggml.tokens", {"a"})
                            .Strings("tokenizer.ggml.merges", {})),
              HasSubstr("\"tokenizer.ggml.pre\" is missing"));
}

TEST(GgufTokenizer, RefusesBrokenVocabularies) {
  const auto with = [](const std::vector<std::string>& tokens,
                       const std::vector<std::string>& merges) {
    return GgufBytes()
        .String("tokenizer.ggml.model", "gpt2")
        .String("tokenizer.ggml.pre", "gpt-2")
        .Strings("tokenizer.ggml.tokens", tokens)
        .Strings("tokenizer.ggml.merges", merges);
  };
  EXPECT_THAT(RefusalOf(with({}, {})), HasSubstr("empty"));
  EXPECT_THAT(RefusalOf(with({"a", ""}, {})), HasSubstr("tokenizer.ggml.tokens"));
  EXPECT_THAT(RefusalOf(with({"a", "a"}, {})), HasSubstr("tokenizer.ggml.tokens"));
  EXPECT_THAT(RefusalOf(with({"a", "\xff"}, {})), HasSubstr("UTF-8"));
  for (const char* merge : {"", "a", " a", "ab"}) {
    EXPECT_THAT(RefusalOf(with({"a", "b", "ab"}, {merge})), HasSubstr("tokenizer.ggml.merges"));
  }
  EXPECT_THAT(RefusalOf(with({"a", "b"}, {"a c"})), HasSubstr("\"c\""));
  EXPECT_THAT(RefusalOf(with({"a", "b"}, {"a b"})), HasSubstr("\"ab\""));
  EXPECT_THAT(RefusalOf(SmallMerges("gpt-2").Ints("tokenizer.ggml.scores", {})), "");
  EXPECT_THAT(RefusalOf(with({"a"}, {}).Ints("tokenizer.ggml.token_type", {1, 1})),
              HasSubstr("tokenizer.ggml.token_type"));
  EXPECT_THAT(RefusalOf(with({"a"}, {}).U32("tokenizer.ggml.eos_token_id", 1)),
              HasSubstr("tokenizer.ggml.eos_token_id"));
  EXPECT_THAT(RefusalOf(GgufBytes()
                            .String("tokenizer.ggml.model", "llama")
                            .Strings("tokenizer.ggml.tokens", {"a"})
                            .Floats("tokenizer.ggml.scores", {0, 1})),
              HasSubstr("tokenizer.ggml.scores"));
  EXPECT_THAT(RefusalOf(GgufBytes()
                            .String("tokenizer.ggml.model", "llama")
                            .Strings("tokenizer.ggml.tokens", {std::string(513, 'a')})
                            .Floats("tokenizer.ggml.scores", {0})),
              HasSubstr("longer than 512"));
}

TEST(GgufTokenizer, TheLastTokensWithoutUseStandForNoText) {
  GgufBytes bytes;
  bytes.String("tokenizer.ggml.model", "gpt2")
      .String("tokenizer.ggml.pre", "gpt-2")
      .Strings("tokenizer.ggml.tokens", {"a", "x", "b", "y", "z"})
      .Ints("tokenizer.ggml.token_type", {kNormal, kUnused, kNormal, kUnused, kUnused})
      .Strings("tokenizer.ggml.merges", {});
  const auto tokenizer = LoadGguf(bytes);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_THAT(*(*tokenizer)->Encode("abyz", {}), ElementsAre(0, 2));
  EXPECT_EQ((*tokenizer)->Decode(std::vector<int32_t>{0, 3, 2}), "ab");
}

std::string Rendered(const GgufBytes& bytes, bool with_tools) {
  MemoryFileSystem files;
  files.Put(kPath, bytes.Build());
  const Result<ChatTemplate> chat = ChatTemplate::Load(files, kPath);
  if (!chat.ok()) return chat.status().message();
  ChatTemplateInputs inputs;
  inputs.messages.push_back({{"role", "user"}, {"content", "hi"}});
  if (with_tools) inputs.tools = Json::array();
  const auto segments = chat->Render(inputs);
  if (!segments.ok()) return segments.status().message();
  std::string text;
  for (const TextSegment& segment : *segments) text += segment.text;
  return text;
}

TEST(GgufChatTemplate, ComesWithItsSpecialTokens) {
  GgufBytes bytes = SmallMerges("smollm");
  EXPECT_THAT(Rendered(bytes, false), AllOf(HasSubstr(kPath), HasSubstr("no chat template")));
  bytes.String("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")
      .String("tokenizer.chat_template.tool_use", "tools: {{ messages[0].content }}")
      .Strings("tokenizer.chat_templates", {"tool_use"});
  EXPECT_EQ(Rendered(bytes, false), "<bos>hi<eos>");
  EXPECT_EQ(Rendered(bytes, true), "tools: hi");
  EXPECT_EQ(
      Rendered(SmallScores().String("tokenizer.chat_template", "{{ bos_token }}{{ eos_token }}"),
               false),
      "<s></s>");
}

TEST(GgufChatTemplate, SaysWhatIsWrong) {
  EXPECT_THAT(Rendered(SmallMerges("smollm").U32("tokenizer.chat_template", 1), false),
              AllOf(HasSubstr(kPath), HasSubstr("tokenizer.chat_template")));
  EXPECT_THAT(Rendered(SmallMerges("smollm").String("tokenizer.chat_template", "{% if %}"), false),
              HasSubstr("chat template"));
}

}  // namespace
}  // namespace fastkv
