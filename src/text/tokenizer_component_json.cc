#include "text/tokenizer_component_json.h"

#include <string>
#include <utility>

#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

Status Unknown(const std::string& what, const std::string& type) {
  return UnsupportedError(what + " " + Quoted(type) + " is not supported");
}

// A component and its type.
struct Component {
  JsonFields fields;
  std::string type;
};

// Unfolds sequences, in order. `members` is the key that a sequence keeps its members under.
Result<std::vector<Component>> Flatten(const Json& value, const std::string& what,
                                       const std::string& members) {
  std::vector<Component> components;
  std::vector<const Json*> stack;
  if (!value.is_null()) stack.push_back(&value);
  while (!stack.empty()) {
    const Json& current = *stack.back();
    stack.pop_back();
    FASTKV_ASSIGN_OR_RETURN(JsonFields fields, JsonFields::Of(current, what));
    FASTKV_ASSIGN_OR_RETURN(std::string type, fields.String("type"));
    if (type != "Sequence") {
      components.push_back({std::move(fields), std::move(type)});
      continue;
    }
    const Json* list = fields.Find(members);
    if (list == nullptr || !list->is_array()) {
      return FormatError(what + ": a Sequence needs the list " + Quoted(members));
    }
    for (auto member = list->rbegin(); member != list->rend(); ++member) stack.push_back(&*member);
  }
  return components;
}

// {"String": "..."} or {"Regex": "..."}
Result<PatternSpec> ParsePattern(const JsonFields& fields) {
  const Json* pattern = fields.Find("pattern");
  if (pattern == nullptr) return FormatError(fields.context() + ": \"pattern\" is missing");
  FASTKV_ASSIGN_OR_RETURN(const JsonFields inner,
                          JsonFields::Of(*pattern, fields.context() + ".pattern"));
  PatternSpec spec;
  spec.is_regex = inner.Has("Regex");
  FASTKV_ASSIGN_OR_RETURN(spec.text, inner.String(spec.is_regex ? "Regex" : "String"));
  return spec;
}

Result<SplitBehavior> ParseBehavior(const JsonFields& fields) {
  FASTKV_ASSIGN_OR_RETURN(const std::string name, fields.StringOr("behavior", "Isolated"));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return Unknown("the split behavior", name);
}

// "prepend_scheme", or the older "add_prefix_space".
Result<PrependScheme> ParsePrependScheme(const JsonFields& fields) {
  FASTKV_ASSIGN_OR_RETURN(const bool prefix, fields.BoolOr("add_prefix_space", true));
  FASTKV_ASSIGN_OR_RETURN(const std::string name,
                          fields.StringOr("prepend_scheme", prefix ? "always" : "never"));
  if (name == "always") return PrependScheme::kAlways;
  if (name == "first") return PrependScheme::kFirst;
  if (name == "never") return PrependScheme::kNever;
  return Unknown("the Metaspace prepend scheme", name);
}

Result<std::string> ParseReplacement(const JsonFields& fields) {
  FASTKV_ASSIGN_OR_RETURN(std::string text, fields.StringOr("replacement", "\u2581"));
  if (text.empty()) return FormatError(fields.context() + ": \"replacement\" is empty");
  return text;
}

Result<PreTokenizerSpec> ParsePreTokenizer(const Component& component) {
  const JsonFields& fields = component.fields;
  PreTokenizerSpec spec;
  if (component.type == "Split") {
    spec.kind = PreTokenizerKind::kSplit;
    FASTKV_ASSIGN_OR_RETURN(spec.pattern, ParsePattern(fields));
    FASTKV_ASSIGN_OR_RETURN(spec.behavior, ParseBehavior(fields));
    FASTKV_ASSIGN_OR_RETURN(spec.invert, fields.BoolOr("invert", false));
  } else if (component.type == "ByteLevel") {
    spec.kind = PreTokenizerKind::kByteLevel;
    FASTKV_ASSIGN_OR_RETURN(spec.add_prefix_space, fields.BoolOr("add_prefix_space", true));
    FASTKV_ASSIGN_OR_RETURN(spec.use_regex, fields.BoolOr("use_regex", true));
  } else if (component.type == "Digits") {
    spec.kind = PreTokenizerKind::kDigits;
    FASTKV_ASSIGN_OR_RETURN(spec.individual_digits, fields.BoolOr("individual_digits", false));
  } else if (component.type == "Punctuation") {
    spec.kind = PreTokenizerKind::kPunctuation;
    FASTKV_ASSIGN_OR_RETURN(spec.behavior, ParseBehavior(fields));
  } else if (component.type == "WhitespaceSplit") {
    spec.kind = PreTokenizerKind::kWhitespaceSplit;
  } else if (component.type == "Metaspace") {
    spec.kind = PreTokenizerKind::kMetaspace;
    FASTKV_ASSIGN_OR_RETURN(spec.replacement, ParseReplacement(fields));
    FASTKV_ASSIGN_OR_RETURN(spec.prepend_scheme, ParsePrependScheme(fields));
    FASTKV_ASSIGN_OR_RETURN(spec.split, fields.BoolOr("split", true));
  } else {
    return Unknown("the pre-tokenizer", component.type);
  }
  return spec;
}

Result<NormalizerSpec> ParseNormalizer(const Component& component) {
  const JsonFields& fields = component.fields;
  NormalizerSpec spec;
  if (component.type == "NFC") {
    spec.kind = NormalizerKind::kNfc;
  } else if (component.type == "NFD") {
    spec.kind = NormalizerKind::kNfd;
  } else if (component.type == "NFKC") {
    spec.kind = NormalizerKind::kNfkc;
  } else if (component.type == "NFKD") {
    spec.kind = NormalizerKind::kNfkd;
  } else if (component.type == "Lowercase") {
    spec.kind = NormalizerKind::kLowercase;
  } else if (component.type == "StripAccents") {
    spec.kind = NormalizerKind::kStripAccents;
  } else if (component.type == "Strip") {
    spec.kind = NormalizerKind::kStrip;
    FASTKV_ASSIGN_OR_RETURN(spec.strip_left, fields.BoolOr("strip_left", true));
    FASTKV_ASSIGN_OR_RETURN(spec.strip_right, fields.BoolOr("strip_right", true));
  } else if (component.type == "Prepend") {
    spec.kind = NormalizerKind::kPrepend;
    FASTKV_ASSIGN_OR_RETURN(spec.content, fields.String("prepend"));
  } else if (component.type == "Replace") {
    spec.kind = NormalizerKind::kReplace;
    FASTKV_ASSIGN_OR_RETURN(spec.pattern, ParsePattern(fields));
    FASTKV_ASSIGN_OR_RETURN(spec.content, fields.String("content"));
  } else {
    return Unknown("the normalizer", component.type);
  }
  return spec;
}

Result<DecoderSpec> ParseDecoder(const Component& component) {
  const JsonFields& fields = component.fields;
  DecoderSpec spec;
  if (component.type == "ByteLevel") {
    spec.kind = DecoderKind::kByteLevel;
  } else if (component.type == "ByteFallback") {
    spec.kind = DecoderKind::kByteFallback;
  } else if (component.type == "Fuse") {
    spec.kind = DecoderKind::kFuse;
  } else if (component.type == "Strip") {
    spec.kind = DecoderKind::kStrip;
    FASTKV_ASSIGN_OR_RETURN(spec.content, fields.StringOr("content", " "));
    FASTKV_ASSIGN_OR_RETURN(spec.start, fields.IntOr("start", 0, 0, INT32_MAX));
    FASTKV_ASSIGN_OR_RETURN(spec.stop, fields.IntOr("stop", 0, 0, INT32_MAX));
  } else if (component.type == "Replace") {
    spec.kind = DecoderKind::kReplace;
    FASTKV_ASSIGN_OR_RETURN(spec.pattern, ParsePattern(fields));
    FASTKV_ASSIGN_OR_RETURN(spec.content, fields.String("content"));
  } else if (component.type == "Metaspace") {
    spec.kind = DecoderKind::kMetaspace;
    FASTKV_ASSIGN_OR_RETURN(spec.content, ParseReplacement(fields));
    FASTKV_ASSIGN_OR_RETURN(spec.prepend_scheme, ParsePrependScheme(fields));
  } else {
    return Unknown("the decoder", component.type);
  }
  return spec;
}

template <typename Spec, typename Parse>
Result<std::vector<Spec>> ParseList(const Json& value, const std::string& what,
                                    const std::string& members, const Parse& parse) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Component> components, Flatten(value, what, members));
  std::vector<Spec> specs;
  for (const Component& component : components) {
    FASTKV_ASSIGN_OR_RETURN(Spec spec, parse(component));
    specs.push_back(std::move(spec));
  }
  return specs;
}

// The ids of one special token of a template.
Status AppendTemplateToken(const JsonFields& processor, const std::string& name,
                           std::vector<int32_t>& ids) {
  const Json* tokens = processor.Find("special_tokens");
  const Json empty = Json::object();
  FASTKV_ASSIGN_OR_RETURN(const JsonFields all, JsonFields::Of(tokens == nullptr ? empty : *tokens,
                                                               "post_processor.special_tokens"));
  const Json* token = all.Find(name);
  if (token == nullptr) {
    return FormatError("post_processor: the template names " + Quoted(name) +
                       ", which \"special_tokens\" lacks");
  }
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(*token, "post_processor"));
  const Json* list = fields.Find("ids");
  if (list == nullptr || !list->is_array()) {
    return FormatError("post_processor: the token " + Quoted(name) + " needs a list \"ids\"");
  }
  for (const Json& id : *list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= limits::kMaxVocabSize) {
      return FormatError("post_processor: the token " + Quoted(name) + " has an id out of range");
    }
    ids.push_back(static_cast<int32_t>(id.get<uint64_t>()));
  }
  return OkStatus();
}

Status ParseTemplate(const JsonFields& processor, SpecialTokenTemplate& result) {
  const Json* items = processor.Find("single");
  if (items == nullptr || !items->is_array()) {
    return FormatError("post_processor: a TemplateProcessing needs the list \"single\"");
  }
  SpecialTokenTemplate own;
  bool behind_text = false;
  for (const Json& item : *items) {
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(item, "post_processor.single"));
    if (const Json* token = fields.Find("SpecialToken")) {
      FASTKV_ASSIGN_OR_RETURN(const JsonFields inner, JsonFields::Of(*token, "SpecialToken"));
      FASTKV_ASSIGN_OR_RETURN(const std::string name, inner.String("id"));
      FASTKV_RETURN_IF_ERROR(
          AppendTemplateToken(processor, name, behind_text ? own.suffix_ids : own.prefix_ids));
    } else if (fields.Has("Sequence") && !behind_text) {
      behind_text = true;
    } else {
      return UnsupportedError("post_processor: a template must hold the text once");
    }
  }
  if (!behind_text) return UnsupportedError("post_processor: a template must hold the text once");
  // Processors work one after the other, each around what the one before has made.
  result.prefix_ids.insert(result.prefix_ids.begin(), own.prefix_ids.begin(), own.prefix_ids.end());
  result.suffix_ids.insert(result.suffix_ids.end(), own.suffix_ids.begin(), own.suffix_ids.end());
  return OkStatus();
}

}  // namespace

Result<std::vector<NormalizerSpec>> ParseNormalizers(const Json& value) {
  return ParseList<NormalizerSpec>(value, "normalizer", "normalizers", ParseNormalizer);
}

Result<std::vector<PreTokenizerSpec>> ParsePreTokenizers(const Json& value) {
  return ParseList<PreTokenizerSpec>(value, "pre_tokenizer", "pretokenizers", ParsePreTokenizer);
}

Result<std::optional<std::vector<DecoderSpec>>> ParseDecoders(const Json& value) {
  std::optional<std::vector<DecoderSpec>> result;
  if (!value.is_null()) {
    FASTKV_ASSIGN_OR_RETURN(result,
                            ParseList<DecoderSpec>(value, "decoder", "decoders", ParseDecoder));
  }
  return result;
}

Result<SpecialTokenTemplate> ParsePostProcessor(const Json& value) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Component> components,
                          Flatten(value, "post_processor", "processors"));
  SpecialTokenTemplate result;
  for (const Component& component : components) {
    // ByteLevel changes offsets only.
    if (component.type == "ByteLevel") continue;
    if (component.type != "TemplateProcessing") {
      return Unknown("the post-processor", component.type);
    }
    FASTKV_RETURN_IF_ERROR(ParseTemplate(component.fields, result));
  }
  return result;
}

Result<std::vector<AddedTokenSpec>> ParseAddedTokens(const Json& value) {
  std::vector<AddedTokenSpec> tokens;
  if (value.is_null()) return tokens;
  if (!value.is_array()) return FormatError("\"added_tokens\" must be a list");
  if (value.size() > static_cast<size_t>(limits::kMaxAddedTokens)) {
    return LimitError(std::to_string(value.size()) + " added tokens, at most " +
                      std::to_string(limits::kMaxAddedTokens) + " are allowed");
  }
  for (const Json& item : value) {
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(item, "added_tokens"));
    AddedTokenSpec token;
    FASTKV_ASSIGN_OR_RETURN(const int64_t id, fields.Int("id", 0, limits::kMaxVocabSize - 1));
    token.id = static_cast<int32_t>(id);
    FASTKV_ASSIGN_OR_RETURN(token.content, fields.String("content"));
    FASTKV_ASSIGN_OR_RETURN(token.single_word, fields.BoolOr("single_word", false));
    FASTKV_ASSIGN_OR_RETURN(token.lstrip, fields.BoolOr("lstrip", false));
    FASTKV_ASSIGN_OR_RETURN(token.rstrip, fields.BoolOr("rstrip", false));
    FASTKV_ASSIGN_OR_RETURN(token.special, fields.BoolOr("special", false));
    FASTKV_ASSIGN_OR_RETURN(token.normalized, fields.BoolOr("normalized", !token.special));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace fastkv
