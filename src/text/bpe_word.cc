#include "text/bpe_word.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace fastkv {
namespace {

constexpr size_t kMaxShortSymbols = 48;
// Scratch memory above this goes back after the word that needed it.
constexpr size_t kMaxKeptSymbols = 1 << 16;

}  // namespace

void BpeWordEncoder::Encode(const BpeMergeTable& merges, std::vector<int32_t>& symbols,
                            std::vector<int32_t>& ids) {
  FASTKV_CHECK_LT(symbols.size(), UINT32_MAX);
  if (symbols.size() <= kMaxShortSymbols) {
    EncodeShort(merges, symbols, ids);
  } else {
    EncodeLong(merges, symbols, ids);
  }
}

void BpeWordEncoder::EncodeShort(const BpeMergeTable& merges, std::span<const int32_t> symbols,
                                 std::vector<int32_t>& ids) {
  std::array<int32_t, kMaxShortSymbols> tokens;
  std::array<BpeMergeTable::Merge, kMaxShortSymbols> pairs;  // pairs[i] starts at token i
  size_t count = symbols.size();
  std::copy(symbols.begin(), symbols.end(), tokens.begin());
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = merges.Find(tokens[i], tokens[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == BpeMergeTable::kNoRank) break;
    tokens[best] = pairs[best].product;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      tokens[i] = tokens[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    if (best + 1 < count) pairs[best] = merges.Find(tokens[best], tokens[best + 1]);
    if (best > 0) pairs[best - 1] = merges.Find(tokens[best - 1], tokens[best]);
  }
  ids.insert(ids.end(), tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(count));
}

BpeMergeTable::Merge BpeWordEncoder::PairAt(const BpeMergeTable& merges, uint32_t position) const {
  if (ids_[position] < 0) return {};
  const uint32_t next = partner_[position] + 1;
  if (next >= ids_.size()) return {};
  return merges.Find(ids_[position], ids_[next]);
}

void BpeWordEncoder::File(const BpeMergeTable& merges, uint32_t position, int64_t current_rank) {
  const uint32_t rank = PairAt(merges, position).rank;
  if (rank == BpeMergeTable::kNoRank) return;
  if (rank <= current_rank) {
    due_.push(static_cast<Place>(rank) << 32 | position);
    return;
  }
  std::vector<uint32_t>& positions = waiting_[rank];
  if (positions.empty()) waiting_ranks_.push(rank);
  positions.push_back(position);
}

void BpeWordEncoder::MergeAt(uint32_t position, int32_t product) {
  const uint32_t next = partner_[position] + 1;
  const uint32_t last = partner_[next];
  ids_[position] = product;
  ids_[next] = -1;
  partner_[position] = last;
  partner_[last] = position;
}

// Takes the ranks in ascending order and, within a rank, the positions from left to right.
// Positions of one rank are found mostly in order already, so that filing them by rank and sorting
// each list once costs far less than a heap of all pairs. A merge may open a pair of the current
// rank or of a lower one; such pairs go through a small heap of their own.
void BpeWordEncoder::EncodeLong(const BpeMergeTable& merges, std::vector<int32_t>& symbols,
                                std::vector<int32_t>& ids) {
  const auto count = static_cast<uint32_t>(symbols.size());
  ids_.swap(symbols);
  partner_.resize(count);
  for (uint32_t i = 0; i < count; ++i) partner_[i] = i;
  for (uint32_t i = 0; i < count; ++i) File(merges, i, -1);

  while (!waiting_ranks_.empty()) {
    const uint32_t rank = waiting_ranks_.top();
    waiting_ranks_.pop();
    const auto filed = waiting_.find(rank);
    std::vector<uint32_t> positions = std::move(filed->second);
    waiting_.erase(filed);
    if (!std::is_sorted(positions.begin(), positions.end())) {
      std::sort(positions.begin(), positions.end());
    }
    size_t taken = 0;
    while (taken < positions.size() || !due_.empty()) {
      Place place = 0;
      if (taken < positions.size()) place = static_cast<Place>(rank) << 32 | positions[taken];
      if (taken == positions.size() || (!due_.empty() && due_.top() < place)) {
        place = due_.top();
        due_.pop();
      } else {
        ++taken;
      }
      const auto position = static_cast<uint32_t>(place);
      const BpeMergeTable::Merge merge = PairAt(merges, position);
      if (merge.rank != place >> 32) continue;
      MergeAt(position, merge.product);
      File(merges, position, rank);
      if (position > 0) File(merges, partner_[position - 1], rank);
    }
  }
  for (uint32_t i = 0; i < count; i = partner_[i] + 1) ids.push_back(ids_[i]);
  ids_.swap(symbols);
  if (count > kMaxKeptSymbols) {
    symbols = {};
    partner_ = {};
  }
}

}  // namespace fastkv
