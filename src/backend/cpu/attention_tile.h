// Attention of a block of rows over the keys of one KV head, one block of keys after the other:
// scores, online softmax, weighted values. Nothing larger than the two blocks is ever held. All
// attention operations are loops over this.
#ifndef FASTKV_BACKEND_CPU_ATTENTION_TILE_H_
#define FASTKV_BACKEND_CPU_ATTENTION_TILE_H_

#include <array>
#include <cstdint>

#include "backend/cpu/context.h"
#include "tensor/tensor_view.h"

namespace fastkv::cpu {

// The block sizes for a head dimension; they depend on nothing else, so results do not either.
struct AttentionBlocks {
  explicit AttentionBlocks(int64_t head_dim);
  int64_t padded_dim;  // head_dim, rounded up to whole panels of any level
  int64_t max_rows;    // of a tile
  int64_t num_keys;    // of a block of keys; blocks begin at multiples of it
};

// Entries [begin, end) of one head's keys and values.
struct KeyBlock {
  ConstTensorView keys;                 // [num_entries, head_dim]; kv, or i8; rows may be strided
  ConstTensorView values;               // as keys; empty where only scores are wanted
  const float* key_scales = nullptr;    // [num_entries], for i8: what an entry is multiplied with
  const float* value_scales = nullptr;  // as key_scales
  int64_t begin = 0;
  int64_t end = 0;  // <= begin + AttentionBlocks::num_keys
};

// Uses the scratch of one thread. Rows are any pairs of a token and a query head of one KV head.
class AttentionTile {
 public:
  static constexpr int64_t kMaxRows = 192;

  AttentionTile(const Context& context, int64_t head_dim, float scale, int thread);

  const AttentionBlocks& blocks() const { return blocks_; }

  // Forgets all rows.
  void Clear() { num_rows_ = 0; }
  // Adds a row with query q[head_dim] (act) that sees entries [begin, end). REQUIRES: fewer than
  // blocks().max_rows so far.
  void AddRow(const void* q, int64_t begin, int64_t end);
  int64_t num_rows() const { return num_rows_; }
  // The entries that any row sees; empty where none does.
  int64_t visible_begin() const;
  int64_t visible_end() const;

  // Takes a block of keys into the softmax and, where it has values, into the weighted sum.
  void Attend(const KeyBlock& block);
  // After all blocks: out_h[j - block.begin] += probability that row r gives entry j, for its
  // entries in [block.begin, limit). `outs` has one pointer a row, to the place of block.begin.
  void AddProbabilities(const KeyBlock& block, int64_t limit, float* const* outs);

  // For rows whose softmax is known: out_r[j - block.begin] += factors[r] * e^(scaled score -
  // log_sum_exps[r]) for the entries of the block that row r sees. The block is packed once, by
  // PackKeys, and may then be taken for any number of calls, each for other rows.
  void PackKeys(const KeyBlock& block);
  void AddExponentials(const KeyBlock& block, const float* log_sum_exps, const float* factors,
                       float* const* outs);

  // Results of row r. Unnormalised sums of values, [head_dim].
  float* weighted_values(int64_t r) { return weighted_ + r * blocks_.padded_dim; }
  float max(int64_t r) const { return max_[r]; }  // -infinity where the row saw nothing
  float sum(int64_t r) const { return sum_[r]; }
  // Divides by the sum and stores the row (act); zeros where it saw nothing.
  void StoreRow(int64_t r, void* out);
  // Of the scaled scores, natural; -infinity where the row saw nothing.
  float LogSumExp(int64_t r) const;

 private:
  // Rows scored at once: their scores stay in the first two caches.
  static constexpr int64_t kScoreRows = 48;

  struct RowRange {
    int64_t begin = 0, end = 0;  // of rows
    int64_t num_columns = 0;     // of the block that any of them sees
  };
  // The columns of `block` that rows [begin, end) see; num_columns is 0 where none.
  RowRange Visible(const KeyBlock& block, int64_t begin) const;
  void Score(const RowRange& rows, int64_t num_packed);
  // The rows of the block as they can be packed: integers are multiplied out, until the next call.
  ConstTensorView PackableRows(const ConstTensorView& rows, const float* scales,
                               const KeyBlock& block) const;

  const Kernels& kernels_;
  AttentionBlocks blocks_;
  DType activation_;
  int64_t head_dim_;
  float scale_;
  int64_t num_rows_ = 0;
  float* queries_;   // [max_rows, head_dim]
  float* weighted_;  // [max_rows, padded_dim]
  float* keys_;      // panels
  float* values_;    // panels
  float* scores_;    // [kScoreRows, num_keys]
  float* expanded_;  // [num_keys, head_dim]
  std::array<int64_t, kMaxRows> begin_;
  std::array<int64_t, kMaxRows> end_;
  std::array<float, kMaxRows> max_;
  std::array<float, kMaxRows> sum_;
};

// The first of positions[0, count), which ascend, that a row at `position` sees through `window`;
// 0 where window is 0.
int64_t FirstVisible(const int32_t* positions, int64_t count, int64_t position, int64_t window);

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_ATTENTION_TILE_H_
