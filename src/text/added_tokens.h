// Finds the added tokens that are written out in a text.
#ifndef FASTKV_TEXT_ADDED_TOKENS_H_
#define FASTKV_TEXT_ADDED_TOKENS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fastkv {

// A token to look for.
struct AddedTokenEntry {
  std::string text;  // not empty
  int32_t id = 0;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool special = false;
};

// A part of a text: an added token, or what stands between them.
struct TextPart {
  size_t begin = 0;
  size_t end = 0;
  std::optional<int32_t> id;
};

// Thread-safe when const.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  // Of entries with the same text the first one counts.
  explicit AddedTokenFinder(std::vector<AddedTokenEntry> entries);

  bool empty() const { return entries_.empty(); }
  bool has_special() const { return has_special_; }

  // Whether all of [begin, end) is trusted.
  using TrustTest = std::function<bool(size_t begin, size_t end)>;

  using PartSink = std::function<Status(const TextPart& part)>;

  // Hands out the parts of a text in order: at the leftmost place the longest token, where a
  // special one counts only if `trusted` says so. A token's part holds the white space that it
  // swallows. A text without tokens is one part; an empty text has none. Fails only when the sink
  // does.
  Status ForEachPart(std::string_view text, const TrustTest& trusted, const PartSink& sink) const;

 private:
  struct Range {
    size_t begin = 0;
    size_t end = 0;
  };
  // The longest token that may stand at `position`.
  const AddedTokenEntry* LongestAt(std::string_view text, size_t position,
                                   const TrustTest& trusted) const;

  std::vector<AddedTokenEntry> entries_;  // sorted by text
  std::array<Range, 256> by_first_byte_{};
  bool has_special_ = false;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_ADDED_TOKENS_H_
