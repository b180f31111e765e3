#include "text/tokenizer_vocabulary.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "io/quoted.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr size_t kFirstNumSlots = 1024;

}  // namespace

uint32_t TokenVocabulary::Hash(std::string_view text) {
  uint64_t hash = 0x9e3779b97f4a7c15ull ^ text.size();
  for (size_t position = 0; position < text.size(); position += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + position, std::min<size_t>(8, text.size() - position));
    hash = (hash ^ word) * 0xd6e8feb86659fd93ull;
    hash ^= hash >> 32;
  }
  return static_cast<uint32_t>(hash);
}

Status TokenVocabulary::Add(std::string_view text, int64_t id) {
  const auto problem = [&](const std::string& what) {
    return "token " + Quoted(text) + " with id " + std::to_string(id) + ": " + what;
  };
  if (text.empty()) return FormatError(problem("the text is empty"));
  if (FindInvalidUtf8(text)) return FormatError(problem("the text is not valid UTF-8"));
  if (id < 0) return FormatError(problem("ids must not be negative"));
  if (id >= limits::kMaxVocabSize) {
    return LimitError(problem("ids must be below " + std::to_string(limits::kMaxVocabSize)));
  }
  if (texts_.size() + text.size() > UINT32_MAX)
    return LimitError(problem("the texts are too long"));
  if (Contains(static_cast<int32_t>(id))) {
    return FormatError(problem("the id belongs to " + Quoted(Text(static_cast<int32_t>(id)))));
  }
  if (static_cast<size_t>(num_tokens_) * 2 >= slots_.size()) Grow();
  const uint32_t hash = Hash(text);
  const size_t slot = FindSlot(text, hash);
  if (slots_[slot].id >= 0) {
    return FormatError(
        problem("the text has the id " + std::to_string(slots_[slot].id) + " already"));
  }
  if (static_cast<size_t>(id) >= entries_.size()) entries_.resize(static_cast<size_t>(id) + 1);
  entries_[static_cast<size_t>(id)] = {static_cast<uint32_t>(texts_.size()),
                                       static_cast<uint32_t>(text.size())};
  texts_ += text;
  slots_[slot] = {static_cast<int32_t>(id), hash};
  ++num_tokens_;
  return OkStatus();
}

std::optional<int32_t> TokenVocabulary::Find(std::string_view text) const {
  if (slots_.empty()) return std::nullopt;
  const int32_t id = slots_[FindSlot(text, Hash(text))].id;
  if (id < 0) return std::nullopt;
  return id;
}

std::string_view TokenVocabulary::Text(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= entries_.size()) return {};
  const Entry& entry = entries_[static_cast<size_t>(id)];
  return std::string_view(texts_).substr(entry.offset, entry.length_bytes);
}

size_t TokenVocabulary::FindSlot(std::string_view text, uint32_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot].id >= 0 && (slots_[slot].hash != hash || Text(slots_[slot].id) != text)) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void TokenVocabulary::Grow() {
  std::vector<Slot> old(slots_.empty() ? kFirstNumSlots : slots_.size() * 2);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& moved : old) {
    if (moved.id < 0) continue;
    size_t slot = moved.hash & mask;
    while (slots_[slot].id >= 0) slot = (slot + 1) & mask;
    slots_[slot] = moved;
  }
}

}  // namespace fastkv
