// Attention of a tile of rows over the keys of one KV head, one block of keys after the other,
// where all is bf16 and the processor multiplies pairs of it. What AttentionTile is in float32.
#ifndef FASTKV_BACKEND_CPU_PAIR_ATTENTION_TILE_H_
#define FASTKV_BACKEND_CPU_PAIR_ATTENTION_TILE_H_

#include <array>
#include <cstdint>

#include "backend/cpu/attention_tile.h"
#include "backend/cpu/context.h"

namespace fastkv::cpu {

// Uses the scratch of one thread. Rows are any pairs of a token and a query head of one KV head.
// Call AddRow for each row, then Attend for each block of keys, then Finish, then ask for results.
class PairAttentionTile {
 public:
  static constexpr int64_t kMaxHeadDim = 512;
  // Rows of a tile; a multiple of every level's panel width.
  static int64_t MaxRows(int64_t head_dim);
  // Elements of a block of values as pack_value_pairs writes it.
  static int64_t PackedValues(int64_t head_dim);

  // REQUIRES: queries, keys and values in bf16; head_dim <= kMaxHeadDim.
  PairAttentionTile(const Context& context, int64_t head_dim, float scale, int thread);

  // Adds a row with query q[head_dim] that sees entries [begin, end). REQUIRES: fewer than
  // MaxRows(head_dim) so far.
  void AddRow(const void* q, int64_t begin, int64_t end);
  int64_t num_rows() const { return num_rows_; }
  // The entries that any row sees.
  int64_t visible_begin() const;
  int64_t visible_end() const;

  // Takes entries [block.begin, block.end) in; block.begin is a multiple of kPairKeys, and there
  // are no more of them. `packed`: the block's values as pack_value_pairs writes them, or null.
  void Attend(const KeyBlock& block, const uint16_t* packed);
  void Finish();

  // Divides row r by the sum of its weights and stores it as bf16.
  void StoreRow(int64_t r, void* out);
  // Of the scaled scores of row r, natural.
  float LogSumExp(int64_t r) const;

 private:
  static constexpr int64_t kMaxRows = 512;

  void PackQueries();
  // The block's keys where the kernel may read them: as they are, or copied and filled up.
  const uint16_t* Keys(const KeyBlock& block, int64_t* stride);

  const Kernels& kernels_;
  int64_t head_dim_;
  int64_t depth_;  // head_dim, rounded up to whole runs of pairs
  float scale_;
  int64_t num_rows_ = 0;
  int64_t num_panels_ = 0;   // 0: queries not packed yet
  uint32_t* queries_;        // panels of pairs
  float* weighted_;          // [max_rows, depth]; before, the queries as they came
  float* reference_;         // [max_rows]
  float* sum_;               // [max_rows]
  float* scores_;            // [kPairKeys, panel_width]
  uint32_t* probabilities_;  // [kPairKeys / 2, panel_width]
  uint16_t* keys_;           // [kPairKeys, depth]
  uint16_t* values_;         // [depth, kPairKeys]
  std::array<int32_t, kMaxRows> begin_;
  std::array<int32_t, kMaxRows> end_;
};

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_PAIR_ATTENTION_TILE_H_
