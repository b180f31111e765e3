#include "text/tokenizer_json.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "io/quoted.h"
#include "text/tokenizer_component_json.h"

// The vocabulary and the merges of a large model are 10 MB of JSON, read at every start: they go
// through simdjson, everything else through the common parser.
namespace fastkv {
namespace {

namespace dom = simdjson::dom;

Status JsonError(simdjson::error_code error) {
  const std::string message = std::string("invalid JSON: ") + simdjson::error_message(error);
  if (error == simdjson::MEMALLOC) return MemoryError(message);
  if (error == simdjson::DEPTH_ERROR || error == simdjson::CAPACITY) return LimitError(message);
  return FormatError(message);
}

Status ReadVocabulary(dom::element value, TokenVocabulary& vocabulary) {
  dom::object entries;
  if (value.get(entries) != simdjson::SUCCESS) {
    return UnsupportedError("model.vocab must be an object of tokens and ids, as BPE models have");
  }
  for (const dom::key_value_pair entry : entries) {
    int64_t id = 0;
    if (entry.value.get(id) != simdjson::SUCCESS) {
      return FormatError("model.vocab: the token " + Quoted(entry.key) +
                         " must have an integer for an id");
    }
    const Status status = vocabulary.Add(entry.key, id);
    if (!status.ok()) return status.WithContext("model.vocab");
  }
  return OkStatus();
}

// "a b", where a part may hold any other white space, or ["a", "b"].
Result<std::array<std::string_view, 2>> ReadMergeParts(dom::element value) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    const size_t space = text.find(' ');
    if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
      return std::array<std::string_view, 2>{text.substr(0, space), text.substr(space + 1)};
    }
    return FormatError(Quoted(text) + " must be two tokens with one space between them");
  }
  dom::array list;
  std::array<std::string_view, 2> parts;
  size_t count = 0;
  if (value.get(list) == simdjson::SUCCESS) {
    for (const dom::element part : list) {
      if (count == 2 || part.get(parts[count]) != simdjson::SUCCESS) {
        count = 0;
        break;
      }
      ++count;
    }
  }
  if (count != 2) return FormatError("a merge must be a text or a list of two texts");
  return parts;
}

Status ReadMerges(dom::element value, TokenizerSpec& spec) {
  dom::array list;
  if (value.get(list) != simdjson::SUCCESS) return FormatError("model.merges must be a list");
  if (list.size() > static_cast<size_t>(limits::kMaxMerges)) {
    return LimitError("model.merges has more than " + std::to_string(limits::kMaxMerges) +
                      " entries");
  }
  spec.merges.reserve(list.size());
  for (const dom::element item : list) {
    const std::string context = "model.merges[" + std::to_string(spec.merges.size()) + "]";
    const Result<std::array<std::string_view, 2>> parts = ReadMergeParts(item);
    if (!parts.ok()) return parts.status().WithContext(context);
    std::array<int32_t, 2> ids{};
    for (size_t i = 0; i < 2; ++i) {
      const std::optional<int32_t> id = spec.vocabulary.Find((*parts)[i]);
      if (!id) {
        return FormatError(context + " names the token " + Quoted((*parts)[i]) +
                           ", which is not in the vocabulary");
      }
      ids[i] = *id;
    }
    spec.merges.push_back({ids[0], ids[1]});
  }
  return OkStatus();
}

// The small fields of the model. `unknown_token` stays empty where there is none.
Status ReadModelOptions(const Json& options, TokenizerSpec& spec, std::string& unknown_token) {
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(options, "model"));
  FASTKV_ASSIGN_OR_RETURN(const std::string type, fields.StringOr("type", "BPE"));
  if (type != "BPE") {
    return UnsupportedError("the tokenizer model " + Quoted(type) + " is not supported, only BPE");
  }
  FASTKV_ASSIGN_OR_RETURN(const double dropout, fields.NumberOr("dropout", 0, 0, 1));
  if (dropout != 0) return UnsupportedError("model.dropout must be null or 0");
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    FASTKV_ASSIGN_OR_RETURN(const std::string affix, fields.StringOr(name, ""));
    if (!affix.empty()) {
      return UnsupportedError(std::string("model.") + name + " is not supported, but is " +
                              Quoted(affix));
    }
  }
  FASTKV_ASSIGN_OR_RETURN(spec.byte_fallback, fields.BoolOr("byte_fallback", false));
  FASTKV_ASSIGN_OR_RETURN(spec.fuse_unknown, fields.BoolOr("fuse_unk", false));
  FASTKV_ASSIGN_OR_RETURN(spec.ignore_merges, fields.BoolOr("ignore_merges", false));
  FASTKV_ASSIGN_OR_RETURN(unknown_token, fields.StringOr("unk_token", ""));
  return OkStatus();
}

// Re-reads a small part with the common parser, which refuses duplicate keys.
Result<Json> Reparse(dom::element value) { return ParseJson(simdjson::minify(value)); }

Status ReadModel(dom::element value, TokenizerSpec& spec) {
  dom::object model;
  if (value.get(model) != simdjson::SUCCESS) return FormatError("\"model\" must be an object");
  std::optional<dom::element> vocabulary;
  std::optional<dom::element> merges;
  Json options = Json::object();
  for (const dom::key_value_pair field : model) {
    if (field.key == "vocab" || field.key == "merges") {
      std::optional<dom::element>& target = field.key == "vocab" ? vocabulary : merges;
      if (target) return FormatError("model: the key " + Quoted(field.key) + " occurs twice");
      target = field.value;
      continue;
    }
    const std::string key(field.key);
    if (options.contains(key))
      return FormatError("model: the key " + Quoted(key) + " occurs twice");
    FASTKV_ASSIGN_OR_RETURN(options[key], Reparse(field.value));
  }
  if (!vocabulary) return FormatError("\"model\" lacks \"vocab\"");
  // The type comes first: other models have other vocabularies.
  std::string unknown_token;
  FASTKV_RETURN_IF_ERROR(ReadModelOptions(options, spec, unknown_token));
  if (!merges)
    return UnsupportedError("the tokenizer model has no \"merges\": only BPE is supported");
  FASTKV_RETURN_IF_ERROR(ReadVocabulary(*vocabulary, spec.vocabulary));
  FASTKV_RETURN_IF_ERROR(ReadMerges(*merges, spec));
  // Byte-level models may name one that is not among the model's tokens; they never need it.
  if (!unknown_token.empty()) spec.unknown_id = spec.vocabulary.Find(unknown_token);
  return OkStatus();
}

// Gives the added tokens their ids. The reference takes a token that the model has under the
// model's id, and numbers the others from the end of the vocabulary, whatever their file says. That
// is followed where the file claims an id of the model's own tokens, or numbers those again; a hole
// is refused, because it is not clear then which ids the model was trained with.
Status ResolveAddedTokens(TokenizerSpec& spec) {
  const TokenVocabulary& vocabulary = spec.vocabulary;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.Contains(id)) {
      return FormatError("model.vocab: no token has the id " + std::to_string(id) +
                         ", though ids go up to " + std::to_string(vocabulary.size() - 1));
    }
  }
  std::vector<AddedTokenSpec>& tokens = spec.added_tokens;
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedTokenSpec& a, const AddedTokenSpec& b) { return a.id < b.id; });
  int32_t next_in_file = vocabulary.size();
  int32_t next_id = vocabulary.size();
  for (size_t i = 0; i < tokens.size(); ++i) {
    AddedTokenSpec& token = tokens[i];
    const std::string name =
        "added token " + Quoted(token.content) + " with id " + std::to_string(token.id);
    if (i + 1 < tokens.size() && tokens[i + 1].id == token.id) {
      return FormatError(name + ": the id is used by " + Quoted(tokens[i + 1].content) + " too");
    }
    if (token.id >= vocabulary.size() && token.id != next_in_file++) {
      return FormatError(name + ": the next free id is " + std::to_string(next_in_file - 1));
    }
    const std::optional<int32_t> in_model = vocabulary.Find(token.content);
    token.id = in_model ? *in_model : next_id++;
  }
  return OkStatus();
}

std::optional<int32_t> FindToken(const TokenizerSpec& spec, const std::string& text) {
  for (const AddedTokenSpec& token : spec.added_tokens) {
    if (token.content == text) return token.id;
  }
  return spec.vocabulary.Find(text);
}

// A token is given as its text, or as an object with its "content".
Result<std::optional<int32_t>> ReadConfigToken(const JsonFields& config, const std::string& name,
                                               const TokenizerSpec& spec) {
  const Json* value = config.Find(name);
  std::optional<int32_t> id;
  if (value == nullptr) return id;
  if (value->is_string()) return FindToken(spec, value->get<std::string>());
  FASTKV_ASSIGN_OR_RETURN(const JsonFields token,
                          JsonFields::Of(*value, config.context() + "." + name));
  FASTKV_ASSIGN_OR_RETURN(const std::string content, token.String("content"));
  return FindToken(spec, content);
}

}  // namespace

Result<TokenizerSpec> ParseTokenizerSpec(std::string_view text) {
  if (std::count(text.begin(), text.end(), ',') > limits::kMaxTokenizerValues) {
    return LimitError(
        "holds more than " + std::to_string(limits::kMaxTokenizerValues) +
        " values in vocabulary and merges together; that is more than any tokenizer needs");
  }
  const simdjson::padded_string padded(text);
  if (padded.size() != text.size()) return MemoryError("no memory to read a tokenizer");
  dom::parser parser;
  simdjson::error_code error =
      parser.allocate(std::max<size_t>(text.size(), 1), static_cast<size_t>(limits::kMaxJsonDepth));
  if (error != simdjson::SUCCESS) return JsonError(error);
  dom::element root;
  error = parser.parse(padded).get(root);
  if (error != simdjson::SUCCESS) return JsonError(error);
  dom::object top;
  if (root.get(top) != simdjson::SUCCESS) return FormatError("the file must hold one JSON object");

  TokenizerSpec spec;
  std::vector<std::string_view> seen;
  for (const dom::key_value_pair field : top) {
    if (std::find(seen.begin(), seen.end(), field.key) != seen.end()) {
      return FormatError("the key " + Quoted(field.key) + " occurs twice");
    }
    const std::array<std::string_view, 6> known = {"model",          "normalizer", "pre_tokenizer",
                                                   "post_processor", "decoder",    "added_tokens"};
    if (std::find(known.begin(), known.end(), field.key) == known.end()) continue;
    seen.push_back(field.key);
    if (field.key == "model") {
      FASTKV_RETURN_IF_ERROR(ReadModel(field.value, spec));
      continue;
    }
    FASTKV_ASSIGN_OR_RETURN(const Json value, Reparse(field.value));
    if (field.key == "normalizer") {
      FASTKV_ASSIGN_OR_RETURN(spec.normalizers, ParseNormalizers(value));
    } else if (field.key == "pre_tokenizer") {
      FASTKV_ASSIGN_OR_RETURN(spec.pre_tokenizers, ParsePreTokenizers(value));
    } else if (field.key == "decoder") {
      FASTKV_ASSIGN_OR_RETURN(spec.decoders, ParseDecoders(value));
    } else if (field.key == "added_tokens") {
      FASTKV_ASSIGN_OR_RETURN(spec.added_tokens, ParseAddedTokens(value));
    } else {
      FASTKV_ASSIGN_OR_RETURN(SpecialTokenTemplate around, ParsePostProcessor(value));
      spec.prefix_ids = std::move(around.prefix_ids);
      spec.suffix_ids = std::move(around.suffix_ids);
    }
  }
  if (std::find(seen.begin(), seen.end(), "model") == seen.end()) {
    return FormatError("\"model\" is missing");
  }
  FASTKV_RETURN_IF_ERROR(ResolveAddedTokens(spec));
  return spec;
}

Status ApplyTokenizerConfig(const Json& config, TokenizerSpec& spec) {
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(config, "tokenizer_config.json"));
  FASTKV_ASSIGN_OR_RETURN(spec.bos_id, ReadConfigToken(fields, "bos_token", spec));
  FASTKV_ASSIGN_OR_RETURN(spec.eos_id, ReadConfigToken(fields, "eos_token", spec));
  const auto decide = [](bool wanted, const std::optional<int32_t>& id, std::vector<int32_t>& ids,
                         bool at_start) {
    if (!id) return;
    ids.erase(std::remove(ids.begin(), ids.end(), *id), ids.end());
    if (wanted) ids.insert(at_start ? ids.begin() : ids.end(), *id);
  };
  if (fields.Has("add_bos_token")) {
    FASTKV_ASSIGN_OR_RETURN(const bool wanted, fields.Bool("add_bos_token"));
    decide(wanted, spec.bos_id, spec.prefix_ids, true);
  }
  if (fields.Has("add_eos_token")) {
    FASTKV_ASSIGN_OR_RETURN(const bool wanted, fields.Bool("add_eos_token"));
    decide(wanted, spec.eos_id, spec.suffix_ids, false);
  }
  return OkStatus();
}

Result<TokenizerSpec> ReadTokenizerSpec(FileSystem& files, const std::string& folder) {
  const std::string path = JoinPath(folder, "tokenizer.json");
  FASTKV_ASSIGN_OR_RETURN(const std::string text, files.ReadFile(path, limits::kMaxTokenizerBytes));
  Result<TokenizerSpec> spec = ParseTokenizerSpec(text);
  if (!spec.ok()) return spec.status().WithContext(path);
  const std::string config_path = JoinPath(folder, "tokenizer_config.json");
  FASTKV_ASSIGN_OR_RETURN(const bool has_config, files.Exists(config_path));
  if (has_config) {
    FASTKV_ASSIGN_OR_RETURN(const Json config,
                            ReadJsonFile(files, config_path, limits::kMaxConfigBytes));
    const Status status = ApplyTokenizerConfig(config, *spec);
    if (!status.ok()) return status.WithContext(folder);
  }
  return spec;
}

}  // namespace fastkv
