// Token texts by id and ids by text, for hundreds of thousands of tokens.
#ifndef FASTKV_TEXT_TOKENIZER_VOCABULARY_H_
#define FASTKV_TEXT_TOKENIZER_VOCABULARY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fastkv {

// Thread-safe when const.
class TokenVocabulary {
 public:
  // Adds a token. Errors: kFormat when the id is negative or in use, or when the text is empty,
  // in use or not valid UTF-8; kLimit when the id is not below limits::kMaxVocabSize.
  Status Add(std::string_view text, int64_t id);

  std::optional<int32_t> Find(std::string_view text) const;

  // Empty where there is no such token.
  std::string_view Text(int32_t id) const;
  bool Contains(int32_t id) const { return !Text(id).empty(); }

  // One more than the greatest id.
  int32_t size() const { return static_cast<int32_t>(entries_.size()); }
  // The number of tokens; less than size() where ids are unused.
  int32_t num_tokens() const { return num_tokens_; }

 private:
  struct Entry {
    uint32_t offset = 0;
    uint32_t length_bytes = 0;
  };
  // The low bits choose a slot; all of them spare most looks at other tokens' texts.
  struct Slot {
    int32_t id = -1;  // -1: empty
    uint32_t hash = 0;
  };
  static uint32_t Hash(std::string_view text);
  // The slot that holds `text`, or the empty slot where it belongs.
  size_t FindSlot(std::string_view text, uint32_t hash) const;
  void Grow();

  std::string texts_;
  std::vector<Entry> entries_;  // by id
  std::vector<Slot> slots_;     // open addressing; the size is a power of two
  int32_t num_tokens_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_TOKENIZER_VOCABULARY_H_
