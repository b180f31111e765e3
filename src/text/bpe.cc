#include "text/bpe.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "io/quoted.h"
#include "text/unicode_byte_alphabet.h"
#include "text/unicode_utf8.h"

namespace fastkv {

BpeWorkspace::BpeWorkspace() : cache_(kNumCachedWords) {}

int32_t BpeModel::SymbolTable::Find(char32_t code_point) const {
  const size_t page = page_of_[code_point / kPageSize];
  return page == 0 ? kNone : pages_[(page - 1) * kPageSize + code_point % kPageSize];
}

void BpeModel::SymbolTable::Insert(char32_t code_point, int32_t id) {
  uint16_t& page = page_of_[code_point / kPageSize];
  if (page == 0) {
    pages_.resize(pages_.size() + kPageSize, kNone);
    page = static_cast<uint16_t>(pages_.size() / kPageSize);
  }
  pages_[static_cast<size_t>(page - 1) * kPageSize + code_point % kPageSize] = id;
}

BpeModel::BpeModel(TokenizerSpec spec, std::vector<bool> never_made)
    : vocabulary_(std::move(spec.vocabulary)),
      never_made_(std::move(never_made)),
      merges_(spec.merges.size()),
      unknown_id_(spec.unknown_id.value_or(kNone)),
      byte_fallback_(spec.byte_fallback),
      fuse_unknown_(spec.fuse_unknown),
      ignore_merges_(spec.ignore_merges) {
  for (int32_t id = 0; id < vocabulary_.size(); ++id) {
    const std::string_view text = vocabulary_.Text(id);
    if (text.empty() || NeverMade(id)) continue;
    const CodePoint first = DecodeUtf8(text, 0);
    if (first.length_bytes == text.size()) symbols_.Insert(first.value, id);
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    byte_symbols_[byte] = symbols_.Find(kByteAlphabet[byte]);
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(byte));
    fallback_ids_[byte] = vocabulary_.Find(name).value_or(kNone);
  }
}

Result<std::unique_ptr<BpeModel>> BpeModel::Create(TokenizerSpec spec,
                                                   std::vector<bool> never_made) {
  const std::vector<MergeSpec> merges = std::move(spec.merges);
  const std::vector<uint32_t> ranks = std::move(spec.merge_ranks);
  spec.merges = {};
  std::unique_ptr<BpeModel> model(new BpeModel(std::move(spec), std::move(never_made)));
  FASTKV_RETURN_IF_ERROR(model->AddMerges(merges, ranks));
  return model;
}

Status BpeModel::AddMerges(const std::vector<MergeSpec>& merges,
                           const std::vector<uint32_t>& ranks) {
  FASTKV_CHECK(ranks.empty() || ranks.size() == merges.size());
  merges_ = BpeMergeTable(merges.size());
  std::string text;
  for (size_t i = 0; i < merges.size(); ++i) {
    const MergeSpec& merge = merges[i];
    const std::string_view left = vocabulary_.Text(merge.left);
    const std::string_view right = vocabulary_.Text(merge.right);
    if (left.empty() || right.empty()) {
      return FormatError("merge " + std::to_string(i) + ": no token has the id " +
                         std::to_string(left.empty() ? merge.left : merge.right));
    }
    text.assign(left).append(right);
    const std::optional<int32_t> product = vocabulary_.Find(text);
    if (!product) {
      return FormatError("merge " + std::to_string(i) + " makes " + Quoted(text) +
                         ", which is not in the vocabulary");
    }
    if (NeverMade(*product)) continue;
    const uint32_t rank = ranks.empty() ? static_cast<uint32_t>(i) : ranks[i];
    merges_.Insert(merge.left, merge.right, {rank, *product});
    AddJunctions(merge);
  }
  return OkStatus();
}

void BpeModel::AddJunctions(const MergeSpec& merge) {
  // The symbols at a token's edge: that of its first or last character, or the token itself where
  // it stands for a byte or an unknown character.
  const auto edge = [&](int32_t id, bool at_end) {
    const std::string_view text = vocabulary_.Text(id);
    const size_t position = at_end ? PreviousUtf8(text, text.size()) : 0;
    return std::array<int32_t, 2>{symbols_.Find(DecodeUtf8(text, position).value), id};
  };
  for (const int32_t left : edge(merge.left, true)) {
    for (const int32_t right : edge(merge.right, false)) {
      if (left != kNone && right != kNone) junctions_.set(JunctionBit(left, right));
    }
  }
}

size_t BpeModel::JunctionBit(int32_t left, int32_t right) {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  return (key * 0x9e3779b97f4a7c15ull + (key >> 32) * 0xbf58476d1ce4e5b9ull) >> 45;
}

void BpeModel::Encode(std::string_view piece, BpeWorkspace& workspace,
                      std::vector<int32_t>& ids) const {
  if (ignore_merges_ && EncodeWhole(piece, ids)) return;
  bool unknown_pending = false;
  for (size_t position = 0; position < piece.size();) {
    const CodePoint c = DecodeUtf8(piece, position);
    const int32_t id = symbols_.Find(c.value);
    if (id == kNone) {
      AddUnknown(piece.substr(position, c.length_bytes), unknown_pending, workspace, ids);
    } else {
      if (std::exchange(unknown_pending, false)) AddSymbol(unknown_id_, workspace, ids);
      AddSymbol(id, workspace, ids);
    }
    position += c.length_bytes;
  }
  if (unknown_pending) AddSymbol(unknown_id_, workspace, ids);
  FinishWord(workspace, ids);
}

void BpeModel::EncodeBytes(std::string_view piece, BpeWorkspace& workspace,
                           std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    workspace.mapped_.clear();
    for (const char c : piece) {
      AppendUtf8(kByteAlphabet[static_cast<unsigned char>(c)], workspace.mapped_);
    }
    if (EncodeWhole(workspace.mapped_, ids)) return;
  }
  bool unknown_pending = false;
  for (const char c : piece) {
    const auto byte = static_cast<unsigned char>(c);
    const int32_t id = byte_symbols_[byte];
    if (id == kNone) {
      std::string character;
      AppendUtf8(kByteAlphabet[byte], character);
      AddUnknown(character, unknown_pending, workspace, ids);
    } else {
      if (std::exchange(unknown_pending, false)) AddSymbol(unknown_id_, workspace, ids);
      AddSymbol(id, workspace, ids);
    }
  }
  if (unknown_pending) AddSymbol(unknown_id_, workspace, ids);
  FinishWord(workspace, ids);
}

bool BpeModel::EncodeWhole(std::string_view text, std::vector<int32_t>& ids) const {
  const std::optional<int32_t> id = vocabulary_.Find(text);
  if (!id || NeverMade(*id)) return false;
  ids.push_back(*id);
  return true;
}

// The order of events is the reference's: byte tokens overtake an unknown token that still waits
// for more unknown characters.
void BpeModel::AddUnknown(std::string_view character, bool& unknown_pending,
                          BpeWorkspace& workspace, std::vector<int32_t>& ids) const {
  const auto fallback_of = [&](char c) { return fallback_ids_[static_cast<unsigned char>(c)]; };
  if (byte_fallback_ && std::all_of(character.begin(), character.end(),
                                    [&](char c) { return fallback_of(c) != kNone; })) {
    for (const char c : character) AddSymbol(fallback_of(c), workspace, ids);
    return;
  }
  if (unknown_id_ == kNone) return;
  if (unknown_pending && !fuse_unknown_) AddSymbol(unknown_id_, workspace, ids);
  unknown_pending = true;
}

void BpeModel::AddSymbol(int32_t id, BpeWorkspace& workspace, std::vector<int32_t>& ids) const {
  std::vector<int32_t>& word = workspace.word_;
  if (!word.empty() && !junctions_.test(JunctionBit(word.back(), id))) FinishWord(workspace, ids);
  word.push_back(id);
}

void BpeModel::FinishWord(BpeWorkspace& workspace, std::vector<int32_t>& ids) const {
  std::vector<int32_t>& word = workspace.word_;
  const size_t count = word.size();
  if (count <= 1) {
    ids.insert(ids.end(), word.begin(), word.end());
    word.clear();
    return;
  }
  if (count > BpeWorkspace::kMaxCachedSymbols) {
    workspace.word_encoder_.Encode(merges_, word, ids);
    word.clear();
    return;
  }
  uint64_t hash = count;
  for (const int32_t id : word) hash = (hash ^ static_cast<uint32_t>(id)) * 0x9e3779b97f4a7c15ull;
  BpeWorkspace::CachedWord& cached =
      workspace.cache_[(hash >> 32) & (BpeWorkspace::kNumCachedWords - 1)];
  if (cached.num_symbols == count && std::equal(word.begin(), word.end(), cached.symbols.begin())) {
    ids.insert(ids.end(), cached.ids.begin(), cached.ids.begin() + cached.num_ids);
    word.clear();
    return;
  }
  const size_t num_before = ids.size();
  std::copy(word.begin(), word.end(), cached.symbols.begin());
  workspace.word_encoder_.Encode(merges_, word, ids);
  const size_t num_ids = ids.size() - num_before;
  cached.num_symbols = 0;
  if (num_ids <= BpeWorkspace::kMaxCachedIds) {
    cached.num_symbols = static_cast<uint8_t>(count);
    cached.num_ids = static_cast<uint8_t>(num_ids);
    std::copy(ids.begin() + static_cast<ptrdiff_t>(num_before), ids.end(), cached.ids.begin());
  }
  word.clear();
}

}  // namespace fastkv
