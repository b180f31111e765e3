#include "text/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "io/gguf.h"
#include "io/quoted.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/gguf_tokenizer.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/tokenizer_trust.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

// Buffers for one Encode at a time; kept between calls for the words that they remember.
struct Workspace {
  BpeWorkspace bpe;
  PatternScratch patterns;
  Normalizer::Scratch normalizer;
};

class WorkspacePool {
 public:
  std::unique_ptr<Workspace> Take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) return std::make_unique<Workspace>();
    std::unique_ptr<Workspace> workspace = std::move(free_.back());
    free_.pop_back();
    return workspace;
  }
  void GiveBack(std::unique_ptr<Workspace> workspace) {
    // A long text must not leave its size behind.
    workspace->normalizer = {};
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.size() < kMaxKept) free_.push_back(std::move(workspace));
  }

 private:
  static constexpr size_t kMaxKept = 16;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> free_;
};

class EncodingSink final : public PieceSink {
 public:
  EncodingSink(const BpeModel& model, bool pieces_are_bytes, BpeWorkspace& workspace,
               std::vector<int32_t>& ids)
      : model_(model), pieces_are_bytes_(pieces_are_bytes), workspace_(workspace), ids_(ids) {}

  void Take(std::string_view piece) override {
    if (pieces_are_bytes_) {
      model_.EncodeBytes(piece, workspace_, ids_);
    } else {
      model_.Encode(piece, workspace_, ids_);
    }
  }

 private:
  const BpeModel& model_;
  bool pieces_are_bytes_;
  BpeWorkspace& workspace_;
  std::vector<int32_t>& ids_;
};

// Longer added tokens than any model has would make the search for them slow.
constexpr size_t kMaxAddedTokenBytes = 512;

}  // namespace

struct Tokenizer::Parts {
  Parts(std::unique_ptr<BpeModel> bpe_model, Normalizer text_normalizer,
        PreTokenizer text_pre_tokenizer)
      : model(std::move(bpe_model)),
        normalizer(std::move(text_normalizer)),
        pre_tokenizer(std::move(text_pre_tokenizer)) {}

  std::unique_ptr<BpeModel> model;
  TokenVocabulary added;  // the added tokens
  std::vector<bool> special;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedTokenFinder plain_finder;       // in the text as it is
  AddedTokenFinder normalized_finder;  // in the normalized text
  std::optional<std::vector<DecoderSpec>> decoders;
  std::vector<int32_t> prefix_ids;
  std::vector<int32_t> suffix_ids;
  std::optional<int32_t> bos_id;
  std::optional<int32_t> eos_id;
  mutable WorkspacePool workspaces;
};

namespace {

// Checks the added tokens against each other and the model, and collects them by id.
Result<TokenVocabulary> CollectAddedTokens(const TokenizerSpec& spec) {
  if (spec.added_tokens.size() > static_cast<size_t>(limits::kMaxAddedTokens)) {
    return LimitError(std::to_string(spec.added_tokens.size()) + " added tokens, at most " +
                      std::to_string(limits::kMaxAddedTokens) + " are allowed");
  }
  TokenVocabulary added;
  for (const AddedTokenSpec& token : spec.added_tokens) {
    if (token.content.size() > kMaxAddedTokenBytes) {
      return LimitError("added token " + Quoted(token.content) + " is longer than " +
                        std::to_string(kMaxAddedTokenBytes) + " bytes");
    }
    const Status status = added.Add(token.content, token.id);
    if (!status.ok()) return status.WithContext("added tokens");
    const std::string_view in_model = spec.vocabulary.Text(token.id);
    if (in_model.empty() ? spec.vocabulary.Find(token.content).has_value()
                         : in_model != token.content) {
      return FormatError("added token " + Quoted(token.content) + " with id " +
                         std::to_string(token.id) + " does not agree with the vocabulary");
    }
  }
  return added;
}

// Every id up to the greatest must be a token: a hole would be an id that means nothing to the
// model.
Status CheckForGaps(const TokenVocabulary& vocabulary, const TokenVocabulary& added) {
  const int32_t size = std::max(vocabulary.size(), added.size());
  for (int32_t id = 0; id < size; ++id) {
    if (!vocabulary.Contains(id) && !added.Contains(id)) {
      return FormatError("no token has the id " + std::to_string(id) + ", though ids go up to " +
                         std::to_string(size - 1));
    }
  }
  return OkStatus();
}

// Malformed names of byte tokens would silently decode as text.
Status CheckByteTokens(const TokenVocabulary& vocabulary) {
  const auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
  };
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.Text(id);
    if (text.size() == 6 && text.starts_with("<0x") && text.back() == '>' &&
        !(is_hex(text[3]) && is_hex(text[4]))) {
      return FormatError("token " + Quoted(text) + " with id " + std::to_string(id) +
                         " looks like a byte, but is none from <0x00> to <0xFF>");
    }
  }
  return OkStatus();
}

Status CheckIds(const TokenizerSpec& spec, const TokenVocabulary& added) {
  std::vector<int32_t> ids = spec.prefix_ids;
  ids.insert(ids.end(), spec.suffix_ids.begin(), spec.suffix_ids.end());
  for (const std::optional<int32_t>& id : {spec.unknown_id, spec.bos_id, spec.eos_id}) {
    if (id) ids.push_back(*id);
  }
  for (const int32_t id : ids) {
    if (!spec.vocabulary.Contains(id) && !added.Contains(id)) {
      return FormatError("the tokenizer names the id " + std::to_string(id) +
                         ", which no token has");
    }
  }
  return OkStatus();
}

// The finders look for the first of equal texts; special tokens come first, as in the reference.
Result<AddedTokenFinder> MakeFinder(const TokenizerSpec& spec, bool normalized,
                                    const std::vector<bool>& special,
                                    const Normalizer& normalizer) {
  std::vector<AddedTokenEntry> entries;
  PatternScratch patterns;
  patterns.StartText(0);
  Normalizer::Scratch scratch;
  for (const bool wants_special : {true, false}) {
    for (const AddedTokenSpec& token : spec.added_tokens) {
      if (token.special != wants_special || token.normalized != normalized) continue;
      NormalizedText text{token.content, {}};
      if (normalized) FASTKV_RETURN_IF_ERROR(normalizer.Normalize(text, scratch, patterns));
      if (text.text.empty()) continue;
      entries.push_back({std::string(text.text), token.id, token.single_word, token.lstrip,
                         token.rstrip, special[static_cast<size_t>(token.id)]});
    }
  }
  return AddedTokenFinder(std::move(entries));
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

Result<std::unique_ptr<Tokenizer>> Tokenizer::Load(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> gguf_path, FindGgufFile(files, path));
  if (gguf_path) {
    FASTKV_ASSIGN_OR_RETURN(const GgufFiles gguf, GgufFiles::Open(files, *gguf_path));
    Result<std::unique_ptr<Tokenizer>> tokenizer = FromGguf(gguf);
    if (!tokenizer.ok()) return tokenizer.status().WithContext(gguf.path());
    return tokenizer;
  }
  FASTKV_ASSIGN_OR_RETURN(TokenizerSpec spec, ReadTokenizerSpec(files, path));
  Result<std::unique_ptr<Tokenizer>> tokenizer = Create(std::move(spec));
  if (!tokenizer.ok()) return tokenizer.status().WithContext(JoinPath(path, "tokenizer.json"));
  return tokenizer;
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::FromGguf(const GgufFiles& gguf) {
  FASTKV_ASSIGN_OR_RETURN(TokenizerSpec spec, TokenizerSpecFromGguf(gguf.metadata()));
  // A file that changes while it is read has no sense to it.
  FASTKV_RETURN_IF_ERROR(gguf.CheckUndamaged());
  return Create(std::move(spec));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::Create(TokenizerSpec spec) {
  if (spec.vocabulary.num_tokens() == 0) return FormatError("the vocabulary is empty");
  if (spec.merges.size() > static_cast<size_t>(limits::kMaxMerges)) {
    return LimitError(std::to_string(spec.merges.size()) + " merges, at most " +
                      std::to_string(limits::kMaxMerges) + " are allowed");
  }
  FASTKV_ASSIGN_OR_RETURN(TokenVocabulary added, CollectAddedTokens(spec));
  FASTKV_RETURN_IF_ERROR(CheckForGaps(spec.vocabulary, added));
  FASTKV_RETURN_IF_ERROR(CheckByteTokens(spec.vocabulary));
  FASTKV_RETURN_IF_ERROR(CheckIds(spec, added));
  if (spec.decoders) FASTKV_RETURN_IF_ERROR(CheckDecoders(*spec.decoders));
  FASTKV_ASSIGN_OR_RETURN(Normalizer normalizer, Normalizer::Create(spec.normalizers));
  FASTKV_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer, PreTokenizer::Create(spec.pre_tokenizers));

  std::vector<bool> special(static_cast<size_t>(std::max(spec.vocabulary.size(), added.size())),
                            false);
  for (const AddedTokenSpec& token : spec.added_tokens) {
    special[static_cast<size_t>(token.id)] =
        token.special || token.id == spec.bos_id || token.id == spec.eos_id;
  }
  FASTKV_ASSIGN_OR_RETURN(AddedTokenFinder plain, MakeFinder(spec, false, special, normalizer));
  FASTKV_ASSIGN_OR_RETURN(AddedTokenFinder in_normalized,
                          MakeFinder(spec, true, special, normalizer));
  const std::optional<std::vector<DecoderSpec>> decoders = std::move(spec.decoders);
  const std::vector<int32_t> prefix_ids = std::move(spec.prefix_ids);
  const std::vector<int32_t> suffix_ids = std::move(spec.suffix_ids);
  const std::optional<int32_t> bos_id = spec.bos_id;
  const std::optional<int32_t> eos_id = spec.eos_id;
  FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<BpeModel> model,
                          BpeModel::Create(std::move(spec), special));
  auto parts =
      std::make_unique<Parts>(std::move(model), std::move(normalizer), std::move(pre_tokenizer));
  parts->added = std::move(added);
  parts->special = std::move(special);
  parts->plain_finder = std::move(plain);
  parts->normalized_finder = std::move(in_normalized);
  parts->decoders = decoders;
  parts->prefix_ids = prefix_ids;
  parts->suffix_ids = suffix_ids;
  parts->bos_id = bos_id;
  parts->eos_id = eos_id;
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}

Result<std::vector<int32_t>> Tokenizer::Encode(std::string_view text,
                                               const EncodeOptions& options) const {
  UntrustedRanges untrusted;
  if (!options.parse_special) untrusted.Add(0, text.size());
  return EncodeText(text, untrusted, options.add_special_tokens);
}

Result<std::vector<int32_t>> Tokenizer::Encode(std::span<const TextSegment> segments,
                                               const EncodeOptions& options) const {
  std::string text;
  UntrustedRanges untrusted;
  for (const TextSegment& segment : segments) {
    const size_t begin = text.size();
    text += segment.text;
    if (!segment.trusted || !options.parse_special) untrusted.Add(begin, text.size());
  }
  return EncodeText(text, untrusted, options.add_special_tokens);
}

Result<std::vector<int32_t>> Tokenizer::EncodeText(std::string_view text,
                                                   const UntrustedRanges& untrusted,
                                                   bool add_special_tokens) const {
  const Parts& parts = *parts_;
  if (text.size() > limits::kMaxPromptFileBytes) {
    return LimitError("a text of " + std::to_string(text.size()) + " bytes, at most " +
                      std::to_string(limits::kMaxPromptFileBytes) + " are allowed");
  }
  if (const std::optional<size_t> offset = FindInvalidUtf8(text)) {
    return InvalidArgumentError("the text is not valid UTF-8 at byte " + std::to_string(*offset) +
                                "; convert it to UTF-8 first");
  }
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = parts.prefix_ids;
  std::unique_ptr<Workspace> workspace = parts.workspaces.Take();
  workspace->patterns.StartText(text.size());
  EncodingSink sink(*parts.model, parts.pre_tokenizer.pieces_are_bytes(), workspace->bpe, ids);

  const auto encode_part = [&](const TextPart& part) -> Status {
    if (part.id) {
      ids.push_back(*part.id);
      return OkStatus();
    }
    NormalizedText piece{text.substr(part.begin, part.end - part.begin), {}};
    if (parts.normalized_finder.has_special() && untrusted.Touches(part.begin, part.end)) {
      piece.trusted = untrusted.TrustOf(part.begin, part.end);
    }
    FASTKV_RETURN_IF_ERROR(
        parts.normalizer.Normalize(piece, workspace->normalizer, workspace->patterns));
    const auto encode_normalized_part = [&](const TextPart& inner) -> Status {
      if (inner.id) {
        ids.push_back(*inner.id);
        return OkStatus();
      }
      return parts.pre_tokenizer.Cut(piece.text.substr(inner.begin, inner.end - inner.begin),
                                     part.begin == 0 && inner.begin == 0, workspace->patterns,
                                     sink);
    };
    const auto is_trusted = [&](size_t begin, size_t end) {
      if (piece.trusted.empty()) return true;
      return std::all_of(piece.trusted.begin() + static_cast<ptrdiff_t>(begin),
                         piece.trusted.begin() + static_cast<ptrdiff_t>(end),
                         [](uint8_t value) { return value != 0; });
    };
    return parts.normalized_finder.ForEachPart(piece.text, is_trusted, encode_normalized_part);
  };
  const Status status = parts.plain_finder.ForEachPart(
      text, [&](size_t begin, size_t end) { return !untrusted.Touches(begin, end); }, encode_part);
  parts.workspaces.GiveBack(std::move(workspace));
  FASTKV_RETURN_IF_ERROR(status);
  if (add_special_tokens) {
    ids.insert(ids.end(), parts.suffix_ids.begin(), parts.suffix_ids.end());
  }
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  StreamingDecoder decoder(*this, skip_special);
  std::string text;
  for (const int32_t id : ids) text += decoder.Take(id);
  text += decoder.Finish();
  return text;
}

Tokenizer::StreamingDecoder::StreamingDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special), run_(tokenizer.parts_->decoders) {}

std::string Tokenizer::StreamingDecoder::Take(int32_t id) {
  const std::string_view token = tokenizer_.IdToToken(id);
  if (!token.empty() && !(skip_special_ && tokenizer_.is_special(id))) run_.Take(token);
  return run_.TakeText();
}

std::string Tokenizer::StreamingDecoder::Finish() {
  run_.Finish();
  return run_.TakeText();
}

int32_t Tokenizer::vocab_size() const {
  return std::max(parts_->model->vocabulary().size(), parts_->added.size());
}

std::optional<int32_t> Tokenizer::TokenToId(std::string_view token) const {
  const std::optional<int32_t> id = parts_->added.Find(token);
  return id ? id : parts_->model->vocabulary().Find(token);
}

std::string_view Tokenizer::IdToToken(int32_t id) const {
  const std::string_view added = parts_->added.Text(id);
  return added.empty() ? parts_->model->vocabulary().Text(id) : added;
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < parts_->special.size() &&
         parts_->special[static_cast<size_t>(id)];
}

std::optional<int32_t> Tokenizer::bos_id() const { return parts_->bos_id; }
std::optional<int32_t> Tokenizer::eos_id() const { return parts_->eos_id; }

}  // namespace fastkv
