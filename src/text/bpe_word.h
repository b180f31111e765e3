// Byte-pair encoding of one word: merges by rank, the leftmost first among equals.
#ifndef FASTKV_TEXT_BPE_WORD_H_
#define FASTKV_TEXT_BPE_WORD_H_

#include <cstddef>
#include <cstdint>
#include <queue>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/bpe_merge_table.h"

namespace fastkv {

// Scratch memory that is reused from word to word. Not thread-safe.
class BpeWordEncoder {
 public:
  // Appends the tokens that `symbols` merge into. O(n log n) for a word of n symbols. `symbols` is
  // used as working memory: what it holds afterwards means nothing.
  void Encode(const BpeMergeTable& merges, std::vector<int32_t>& symbols,
              std::vector<int32_t>& ids);

 private:
  // Looks through all pairs for the best one each time: the fastest way for the short words that
  // nearly all words are.
  void EncodeShort(const BpeMergeTable& merges, std::span<const int32_t> symbols,
                   std::vector<int32_t>& ids);
  void EncodeLong(const BpeMergeTable& merges, std::vector<int32_t>& symbols,
                  std::vector<int32_t>& ids);

  // A place where a pair with a known rank began; out of date when another merge came first.
  using Place = uint64_t;  // rank << 32 | position: orders by rank, then from left to right
  using PlaceHeap = std::priority_queue<Place, std::vector<Place>, std::greater<>>;

  // The pair that begins at `position`, if a token begins there and another one follows.
  BpeMergeTable::Merge PairAt(const BpeMergeTable& merges, uint32_t position) const;
  // Files the pair at `position`, if it merges: in due_ up to `current_rank`, else in waiting_.
  void File(const BpeMergeTable& merges, uint32_t position, int64_t current_rank);
  void MergeAt(uint32_t position, int32_t product);

  // Tokens are spans of symbols. ids_[first] is the token and -1 elsewhere; partner_[first] is the
  // span's last symbol and partner_[last] its first, so that both neighbours are found in one step.
  std::vector<int32_t> ids_;
  std::vector<uint32_t> partner_;
  std::unordered_map<uint32_t, std::vector<uint32_t>> waiting_;  // positions by rank
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> waiting_ranks_;
  PlaceHeap due_;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_BPE_WORD_H_
