#include "text/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "io/gguf_keys.h"
#include "io/quoted.h"
#include "text/gguf_pre_tokenizer.h"
#include "text/score_merges.h"
#include "text/tokenizer_json.h"

namespace fastkv {
namespace {

constexpr char kPreKey[] = "tokenizer.ggml.pre";
constexpr char kMergesKey[] = "tokenizer.ggml.merges";
constexpr char kScoresKey[] = "tokenizer.ggml.scores";
constexpr char kBosKey[] = "tokenizer.ggml.bos_token_id";
constexpr char kEosKey[] = "tokenizer.ggml.eos_token_id";
constexpr char kUnknownKey[] = "tokenizer.ggml.unknown_token_id";
constexpr char kPaddingKey[] = "tokenizer.ggml.padding_token_id";
constexpr char kWholeFileKey[] = "tokenizer.huggingface.json";
constexpr char kTemplateKey[] = "tokenizer.chat_template";

constexpr char kSpaceMark[] = "\u2581";

// The keys that all kinds of tokenizer share.
struct TokenList {
  std::vector<std::string_view> texts;
  std::vector<int64_t> types;  // as many
};

Result<TokenList> ReadTokens(const GgufMetadata& metadata) {
  TokenList tokens;
  FASTKV_ASSIGN_OR_RETURN(tokens.texts, metadata.Strings(gguf::kTokensKey, limits::kMaxVocabSize));
  if (!metadata.Has(gguf::kTokenTypesKey)) {
    tokens.types.assign(tokens.texts.size(), gguf::kNormal);
    return tokens;
  }
  FASTKV_ASSIGN_OR_RETURN(tokens.types, metadata.Ints(gguf::kTokenTypesKey, limits::kMaxVocabSize));
  if (tokens.types.size() != tokens.texts.size()) {
    return FormatError("key " + Quoted(gguf::kTokenTypesKey) + ": expected " +
                       std::to_string(tokens.texts.size()) + " values, one a token, found " +
                       std::to_string(tokens.types.size()));
  }
  return tokens;
}

// The id that a key names, or `otherwise`; -1 and the like, which old converters wrote for none,
// are refused with everything else that is no token.
Result<std::optional<int32_t>> ReadId(const GgufMetadata& metadata, const char* key,
                                      std::optional<int32_t> otherwise, size_t num_tokens) {
  if (!metadata.Has(key)) {
    const bool exists = otherwise && static_cast<size_t>(*otherwise) < num_tokens;
    return exists ? otherwise : std::nullopt;
  }
  FASTKV_ASSIGN_OR_RETURN(const int64_t id,
                          metadata.Int(key, 0, static_cast<int64_t>(num_tokens) - 1));
  return std::optional(static_cast<int32_t>(id));
}

// bos_id, eos_id and unknown_id, and what goes before and behind a text.
Status ReadSpecialIds(const GgufMetadata& metadata, size_t num_tokens, bool adds_bos_token,
                      TokenizerSpec& spec) {
  FASTKV_ASSIGN_OR_RETURN(const std::string_view model,
                          metadata.StringOr(gguf::kTokenizerModelKey, gguf::kMergeModel));
  const bool by_scores = model == gguf::kScoreModel;
  const auto default_id = [&](int32_t id) { return by_scores ? std::optional(id) : std::nullopt; };
  FASTKV_ASSIGN_OR_RETURN(spec.bos_id,
                          ReadId(metadata, kBosKey, default_id(gguf::kScoreBosId), num_tokens));
  FASTKV_ASSIGN_OR_RETURN(spec.eos_id,
                          ReadId(metadata, kEosKey, default_id(gguf::kScoreEosId), num_tokens));
  FASTKV_ASSIGN_OR_RETURN(const bool add_bos,
                          metadata.BoolOr("tokenizer.ggml.add_bos_token", adds_bos_token));
  FASTKV_ASSIGN_OR_RETURN(const bool add_eos,
                          metadata.BoolOr("tokenizer.ggml.add_eos_token", false));
  spec.prefix_ids.clear();
  spec.suffix_ids.clear();
  if (add_bos && spec.bos_id) spec.prefix_ids = {*spec.bos_id};
  if (add_eos && spec.eos_id) spec.suffix_ids = {*spec.eos_id};
  return OkStatus();
}

// Sorts the tokens into those that text is made into and those that are sought in it as they stand.
// The converter fills the ids up to the size of the embedding with unused tokens; those stand for
// no text.
Status AddTokens(const TokenList& tokens, bool keeps_user_defined, TokenizerSpec& spec) {
  size_t count = tokens.texts.size();
  while (count > 0 && tokens.types[count - 1] == gguf::kUnused) --count;
  for (size_t i = 0; i < count; ++i) {
    const auto id = static_cast<int32_t>(i);
    const int64_t type = tokens.types[i];
    const bool special = type == gguf::kControl || type == gguf::kUnknown ||
                         ((id == spec.bos_id || id == spec.eos_id) && type != gguf::kByte);
    if (special || type == gguf::kUserDefined) {
      spec.added_tokens.push_back(
          {.id = id, .content = std::string(tokens.texts[i]), .special = special});
    }
    const bool in_vocabulary = !special && (type != gguf::kUserDefined || keeps_user_defined);
    if (!in_vocabulary) continue;
    const Status status = spec.vocabulary.Add(tokens.texts[i], id);
    if (!status.ok()) return status.WithContext("key " + Quoted(gguf::kTokensKey));
  }
  return OkStatus();
}

Status ReadMerges(const GgufMetadata& metadata, TokenizerSpec& spec) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string_view> merges,
                          metadata.Strings(kMergesKey, limits::kMaxMerges));
  spec.merges.reserve(merges.size());
  for (const std::string_view merge : merges) {
    const std::string where =
        "key " + Quoted(kMergesKey) + ", element " + std::to_string(spec.merges.size());
    const size_t space = merge.empty() ? std::string_view::npos : merge.find(' ', 1);
    if (space == std::string_view::npos) {
      return FormatError(where + ": expected two tokens with a space between, found " +
                         Quoted(merge));
    }
    std::array<int32_t, 2> ids{};
    for (size_t i = 0; i < 2; ++i) {
      const std::string_view part = i == 0 ? merge.substr(0, space) : merge.substr(space + 1);
      const std::optional<int32_t> id = spec.vocabulary.Find(part);
      if (!id) {
        return FormatError(where + " names the token " + Quoted(part) +
                           ", which is not in the vocabulary");
      }
      ids[i] = *id;
    }
    spec.merges.push_back({ids[0], ids[1]});
  }
  return OkStatus();
}

Result<TokenizerSpec> ByMerges(const GgufMetadata& metadata, const TokenList& tokens) {
  if (!metadata.Has(kPreKey)) {
    return UnsupportedError("key " + Quoted(kPreKey) +
                            " is missing, so that it is not known how "
                            "text is cut, and a guess would spoil the answers; take a newer "
                            "conversion of the model");
  }
  FASTKV_ASSIGN_OR_RETURN(const std::string_view name, metadata.String(kPreKey));
  FASTKV_ASSIGN_OR_RETURN(GgufPreTokenizer pre_tokenizer, GgufPreTokenizerOf(name));
  TokenizerSpec spec;
  FASTKV_RETURN_IF_ERROR(
      ReadSpecialIds(metadata, tokens.texts.size(), pre_tokenizer.adds_bos_token, spec));
  FASTKV_RETURN_IF_ERROR(AddTokens(tokens, /*keeps_user_defined=*/false, spec));
  FASTKV_RETURN_IF_ERROR(ReadMerges(metadata, spec));
  spec.ignore_merges = pre_tokenizer.ignores_merges;
  spec.pre_tokenizers = std::move(pre_tokenizer.steps);
  if (pre_tokenizer.normalizes_to_nfc) spec.normalizers.push_back({NormalizerKind::kNfc});
  spec.decoders = {{.kind = DecoderKind::kByteLevel}};
  return spec;
}

Result<TokenizerSpec> ByScores(const GgufMetadata& metadata, const TokenList& tokens) {
  TokenizerSpec spec;
  FASTKV_RETURN_IF_ERROR(
      ReadSpecialIds(metadata, tokens.texts.size(), /*adds_bos_token=*/true, spec));
  FASTKV_ASSIGN_OR_RETURN(
      spec.unknown_id, ReadId(metadata, kUnknownKey, gguf::kScoreUnknownId, tokens.texts.size()));
  FASTKV_RETURN_IF_ERROR(AddTokens(tokens, /*keeps_user_defined=*/true, spec));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<float> scores,
                          metadata.Floats(kScoresKey, limits::kMaxVocabSize));
  if (scores.size() != tokens.texts.size()) {
    return FormatError("key " + Quoted(kScoresKey) + ": expected " +
                       std::to_string(tokens.texts.size()) + " values, one a token, found " +
                       std::to_string(scores.size()));
  }
  std::vector<bool> merges(tokens.types.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    merges[i] = tokens.types[i] != gguf::kByte && spec.vocabulary.Contains(static_cast<int32_t>(i));
  }
  FASTKV_RETURN_IF_ERROR(AddScoreMerges(scores, merges, spec));
  spec.byte_fallback = true;
  spec.fuse_unknown = true;

  FASTKV_ASSIGN_OR_RETURN(const bool add_space,
                          metadata.BoolOr("tokenizer.ggml.add_space_prefix", true));
  if (add_space) spec.normalizers.push_back({NormalizerKind::kPrepend, {}, kSpaceMark});
  spec.normalizers.push_back({NormalizerKind::kReplace, {false, " "}, kSpaceMark});
  spec.decoders = {{.kind = DecoderKind::kReplace, .pattern = {false, kSpaceMark}, .content = " "},
                   {.kind = DecoderKind::kByteFallback},
                   {.kind = DecoderKind::kFuse}};
  if (add_space) {
    spec.decoders->push_back({.kind = DecoderKind::kStrip, .content = " ", .start = 1});
  }
  return spec;
}

}  // namespace

Result<TokenizerSpec> TokenizerSpecFromGguf(const GgufMetadata& metadata) {
  if (metadata.Has(kWholeFileKey)) {
    FASTKV_ASSIGN_OR_RETURN(const std::string_view json, metadata.String(kWholeFileKey));
    if (json.size() > limits::kMaxTokenizerBytes) {
      return LimitError("key " + Quoted(kWholeFileKey) + ": " + std::to_string(json.size()) +
                        " bytes; at most " + std::to_string(limits::kMaxTokenizerBytes) +
                        " are allowed");
    }
    Result<TokenizerSpec> spec = ParseTokenizerSpec(json);
    if (!spec.ok()) return spec.status().WithContext("key " + Quoted(kWholeFileKey));
    const size_t num_tokens =
        static_cast<size_t>(spec->vocabulary.size()) + spec->added_tokens.size();
    const bool adds_bos_token = !spec->prefix_ids.empty();
    FASTKV_RETURN_IF_ERROR(ReadSpecialIds(metadata, num_tokens, adds_bos_token, *spec));
    return spec;
  }
  FASTKV_ASSIGN_OR_RETURN(const std::string_view model, metadata.String(gguf::kTokenizerModelKey));
  FASTKV_ASSIGN_OR_RETURN(const TokenList tokens, ReadTokens(metadata));
  if (model == gguf::kMergeModel) return ByMerges(metadata, tokens);
  if (model == gguf::kScoreModel) return ByScores(metadata, tokens);
  return UnsupportedError("key " + Quoted(gguf::kTokenizerModelKey) + ": the tokenizer " +
                          Quoted(model) + " is not supported; supported are gpt2 and llama");
}

Result<std::vector<GgufChatTemplate>> ChatTemplatesFromGguf(const GgufMetadata& metadata) {
  std::vector<GgufChatTemplate> templates;
  const std::string prefix = std::string(kTemplateKey) + ".";
  for (const std::string_view key : metadata.Keys()) {  // sorted: the default one comes first
    if (key != kTemplateKey && !key.starts_with(prefix)) continue;
    FASTKV_ASSIGN_OR_RETURN(const std::string_view source, metadata.String(key));
    if (source.size() > limits::kMaxTemplateBytes) {
      return LimitError("key " + Quoted(key) + ": " + std::to_string(source.size()) +
                        " bytes; at most " + std::to_string(limits::kMaxTemplateBytes) +
                        " are allowed");
    }
    const bool is_default = key == kTemplateKey;
    templates.push_back({is_default ? "default" : std::string(key.substr(prefix.size())), source});
  }
  return templates;
}

Result<std::map<std::string, std::string>> SpecialTokensFromGguf(const GgufMetadata& metadata) {
  std::map<std::string, std::string> texts;
  if (!metadata.Has(gguf::kTokensKey)) return texts;
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string_view> tokens,
                          metadata.Strings(gguf::kTokensKey, limits::kMaxVocabSize));
  FASTKV_ASSIGN_OR_RETURN(const std::string_view model,
                          metadata.StringOr(gguf::kTokenizerModelKey, gguf::kMergeModel));
  struct Name {
    const char* key;
    const char* variable;
    int32_t default_of_scores;  // -1: none
  };
  for (const Name& name : {Name{kBosKey, "bos_token", gguf::kScoreBosId},
                           Name{kEosKey, "eos_token", gguf::kScoreEosId},
                           Name{kUnknownKey, "unk_token", gguf::kScoreUnknownId},
                           Name{kPaddingKey, "pad_token", -1}}) {
    const bool has_default = model == gguf::kScoreModel && name.default_of_scores >= 0;
    FASTKV_ASSIGN_OR_RETURN(
        const std::optional<int32_t> id,
        ReadId(metadata, name.key,
               has_default ? std::optional(name.default_of_scores) : std::nullopt, tokens.size()));
    if (id) texts[name.variable] = tokens[static_cast<size_t>(*id)];
  }
  return texts;
}

}  // namespace fastkv
