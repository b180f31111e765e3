#include "text/added_tokens.h"

#include <algorithm>
#include <map>
#include <utility>

#include "text/unicode_class.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

unsigned char ByteAt(std::string_view text, size_t position) {
  return static_cast<unsigned char>(text[position]);
}

bool EndsWithWord(std::string_view text) {
  return !text.empty() && IsWordCharacter(DecodeUtf8(text, PreviousUtf8(text, text.size())).value);
}

bool StartsWithWord(std::string_view text) {
  return !text.empty() && IsWordCharacter(DecodeUtf8(text, 0).value);
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedTokenEntry> entries) {
  std::map<std::string, AddedTokenEntry> by_text;
  for (AddedTokenEntry& entry : entries) by_text.emplace(entry.text, std::move(entry));
  for (auto& [text, entry] : by_text) entries_.push_back(std::move(entry));
  for (size_t i = 0; i < entries_.size(); ++i) {
    Range& range = by_first_byte_[ByteAt(entries_[i].text, 0)];
    if (range.end == 0) range.begin = i;
    range.end = i + 1;
    has_special_ |= entries_[i].special;
  }
}

const AddedTokenEntry* AddedTokenFinder::LongestAt(std::string_view text, size_t position,
                                                   const TrustTest& trusted) const {
  const AddedTokenEntry* longest = nullptr;
  Range range = by_first_byte_[ByteAt(text, position)];
  // All entries of the range share their first `length` bytes with the text.
  for (size_t length = 1; range.begin < range.end; ++length) {
    const AddedTokenEntry& shortest = entries_[range.begin];
    if (shortest.text.size() == length) {
      if (!shortest.special || trusted(position, position + length)) longest = &shortest;
      ++range.begin;
    }
    if (position + length == text.size()) break;
    const unsigned char next = ByteAt(text, position + length);
    const auto first = entries_.begin() + static_cast<ptrdiff_t>(range.begin);
    const auto last = entries_.begin() + static_cast<ptrdiff_t>(range.end);
    const auto low =
        std::lower_bound(first, last, next, [&](const AddedTokenEntry& entry, unsigned char byte) {
          return ByteAt(entry.text, length) < byte;
        });
    const auto high =
        std::upper_bound(low, last, next, [&](unsigned char byte, const AddedTokenEntry& entry) {
          return byte < ByteAt(entry.text, length);
        });
    range = {static_cast<size_t>(low - entries_.begin()),
             static_cast<size_t>(high - entries_.begin())};
  }
  return longest;
}

Status AddedTokenFinder::ForEachPart(std::string_view text, const TrustTest& trusted,
                                     const PartSink& sink) const {
  size_t covered = 0;
  for (size_t position = 0; position < text.size() && !entries_.empty();) {
    const AddedTokenEntry* entry = LongestAt(text, position, trusted);
    if (entry == nullptr) {
      ++position;
      continue;
    }
    size_t begin = position;
    size_t end = position + entry->text.size();
    position = end;
    if (entry->single_word &&
        (EndsWithWord(text.substr(0, begin)) || StartsWithWord(text.substr(end)))) {
      continue;
    }
    while (entry->lstrip && begin > covered) {
      const size_t previous = PreviousUtf8(text, begin);
      if (!IsWhiteSpace(DecodeUtf8(text, previous).value)) break;
      begin = previous;
    }
    while (entry->rstrip && end < text.size()) {
      const CodePoint c = DecodeUtf8(text, end);
      if (!IsWhiteSpace(c.value)) break;
      end += c.length_bytes;
    }
    if (covered < begin) FASTKV_RETURN_IF_ERROR(sink({covered, begin, std::nullopt}));
    FASTKV_RETURN_IF_ERROR(sink({begin, end, entry->id}));
    // A token that was found in white space which the one before has swallowed still counts, and
    // the text behind it is then taken again from its end.
    covered = end;
  }
  return covered < text.size() ? sink({covered, text.size(), std::nullopt}) : OkStatus();
}

}  // namespace fastkv
