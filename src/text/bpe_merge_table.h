// The merge rules of byte-pair encoding, by pair.
#ifndef FASTKV_TEXT_BPE_MERGE_TABLE_H_
#define FASTKV_TEXT_BPE_MERGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastkv {

// Open addressing over (left, right). Thread-safe when const.
class BpeMergeTable {
 public:
  static constexpr uint32_t kNoRank = UINT32_MAX;
  struct Merge {
    uint32_t rank = kNoRank;
    int32_t product = -1;
  };

  explicit BpeMergeTable(size_t num_merges = 0) {
    size_t size = 4;
    while (size < num_merges + num_merges / 2) size *= 2;
    slots_.resize(size);
  }

  // A pair that is there already takes the new rank. REQUIRES: at most `num_merges` distinct pairs.
  void Insert(int32_t left, int32_t right, Merge merge) {
    Slot& slot = slots_[FindSlot(Key(left, right))];
    slot.key = Key(left, right);
    slot.merge = merge;
  }

  // Rank kNoRank where the two do not merge.
  Merge Find(int32_t left, int32_t right) const { return slots_[FindSlot(Key(left, right))].merge; }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;  // ids are not negative, so no key looks like this
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };

  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t FindSlot(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    const uint64_t product = (key ^ key >> 29) * 0x9e3779b97f4a7c15ull;
    size_t slot = (product ^ product >> 32) & mask;
    while (slots_[slot].key != key && slots_[slot].key != kEmpty) slot = (slot + 1) & mask;
    return slot;
  }

  std::vector<Slot> slots_;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_BPE_MERGE_TABLE_H_
