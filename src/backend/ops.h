// The operation set: one params struct an operation. Every back end implements all of them with the
// same meaning; reference/ is the specification (plain loops, double accumulation).
//
// Conventions. Shapes are given slowest dimension first. "act" is Backend::types().activation, "kv"
// is Backend::types().kv; where a comment names a type, nothing else is accepted. All pointers and
// views are memory of the back end's device; what is host memory says so. Outputs never overlap
// inputs unless stated. Any number of rows may be 0. Positions are original token positions
// (int32); slots and entries are places in memory.
#ifndef FASTKV_BACKEND_OPS_H_
#define FASTKV_BACKEND_OPS_H_

#include <cstdint>
#include <span>

#include "tensor/tensor_view.h"

namespace fastkv {

class PackedWeight;

// out[i] = table[ids[i]].
struct EmbedTokensParams {
  const PackedWeight* table = nullptr;  // [vocab_size, hidden_size]
  const int32_t* ids = nullptr;         // [num_tokens], each in [0, vocab_size)
  TensorView out;                       // [num_tokens, hidden_size], f32
};

// out = x / sqrt(mean(x^2) + epsilon) * weight, by row.
struct RmsNormParams {
  ConstTensorView x;       // [num_tokens, hidden_size], f32; rows may be strided
  ConstTensorView weight;  // [hidden_size], f32
  float epsilon = 0;
  TensorView out;  // [num_tokens, hidden_size], act
};

// out = x * weight^T (+ bias) (+ out).
struct MatMulParams {
  ConstTensorView x;                     // [num_tokens, in_features], act; rows may be strided
  const PackedWeight* weight = nullptr;  // [out_features, in_features]
  ConstTensorView bias;                  // [out_features], f32, or empty
  TensorView out;                        // [num_tokens, out_features], act or f32
  bool accumulate = false;               // add to what `out` (then f32) already holds
};

// cos_sin[i, c] = cos(p * f[c]) * scale and cos_sin[i, head_dim/2 + c] = sin(p * f[c]) * scale,
// with p = positions[i] and the product p * f[c] in float32.
struct RopeTableParams {
  const int32_t* positions = nullptr;   // [num_tokens]
  ConstTensorView inverse_frequencies;  // f: [head_dim / 2], f32
  float attention_factor = 1;           // scale
  TensorView cos_sin;                   // [num_tokens, head_dim], f32
};

// Takes the fused projection apart: optional RMS norm of each q and k head, rotary embedding in the
// half-split layout (component c pairs with c + head_dim/2), queries to `q`, keys and values to the
// cache.
struct StoreQkvParams {
  // [num_tokens, (num_q_heads + 2 num_kv_heads) head_dim], act: all q heads, then k heads, then v
  // heads. With an empty `q` the q part is absent: [num_tokens, 2 num_kv_heads head_dim].
  ConstTensorView qkv;
  ConstTensorView q_norm_weight;  // [head_dim], f32, or empty: no norm
  ConstTensorView k_norm_weight;  // [head_dim], f32, or empty: no norm
  float norm_epsilon = 0;
  ConstTensorView cos_sin;  // [num_tokens, head_dim], f32, as RopeTable writes it
  TensorView q;       // [num_tokens, num_q_heads, head_dim], act, or empty: keys and values only
  TensorView keys;    // [num_kv_heads, num_tokens, head_dim], kv; the head stride is free
  TensorView values;  // as keys
};

// Causal grouped-query attention of a block of rows over a layer's keys: row i sees entries
// 0 .. q_start + i, and with window > 0 only those with positions[q_start + i] - positions[j] <
// window. Query head h uses KV head h / (num_q_heads / num_kv_heads).
struct PrefillAttentionParams {
  ConstTensorView q;  // [q_len, num_q_heads, head_dim], act
  ConstTensorView
      keys;  // [num_kv_heads, kv_len, head_dim], kv; head stride free; kv_len >= q_start + q_len
  ConstTensorView values;  // as keys
  int64_t q_start = 0;
  float scale = 1;                     // multiplies q . k
  int64_t window = 0;                  // 0: none
  const int32_t* positions = nullptr;  // [kv_len], ascending; needed when window > 0
  TensorView out;                      // [q_len, num_q_heads * head_dim], act
  TensorView
      log_sum_exp;  // [q_len, num_q_heads], f32, natural log of the scaled scores' sum; or empty
};

// The entries of one sequence in one layer: a frozen part (each KV head its own count), then a tail
// in which all heads have the same count. Entries of a head are in ascending position order.
struct KvLayerView {
  ConstTensorView frozen_keys;    // [num_entries, head_dim], kv, or i8 with scales
  ConstTensorView frozen_values;  // as frozen_keys
  // [num_entries]: what the integers of an entry are multiplied with; null where they are in kv.
  const float* frozen_key_scales = nullptr;
  const float* frozen_value_scales = nullptr;
  std::span<const int64_t>
      head_begin;  // host: [num_kv_heads + 1]; head a owns entries [b[a], b[a+1])
  const int32_t* frozen_positions = nullptr;  // [num_entries]
  ConstTensorView
      tail_keys;  // [num_kv_heads, tail_len, head_dim], kv; head stride free; may be empty
  ConstTensorView tail_values;              // as tail_keys
  const int32_t* tail_positions = nullptr;  // [tail_len]
};

// Attention of new tokens over a cache. The q_len rows of a sequence belong to the last q_len
// entries of its tail: row i sees every frozen entry and tail entries 0 .. tail_len - q_len + i;
// `window` as in PrefillAttention. q_len is 1 in decoding.
struct CachedAttentionParams {
  ConstTensorView q;  // [num_sequences * q_len, num_q_heads, head_dim], act
  int64_t q_len = 1;
  std::span<const KvLayerView> sequences;  // host array
  float scale = 1;
  int64_t window = 0;
  TensorView out;  // [num_sequences * q_len, num_q_heads * head_dim], act
  TensorView
      log_sum_exp;  // [num_sequences * q_len, num_q_heads], f32, as in PrefillAttention; or empty
};

// out = silu(gate) * up, silu(x) = x / (1 + exp(-x)).
struct SiluMultiplyParams {
  ConstTensorView gate_up;  // [num_tokens, 2 * intermediate_size], act: gate, then up
  TensorView out;           // [num_tokens, intermediate_size], act
};

enum class ReductionKind { kSum, kMean, kMax };

// out[h, j] = sum, or maximum, over window rows i of softmax_j(scale * q[i, h] . k[j]), j < kv_len
// - window_rows: the softmax runs over all entries that row i sees (its own column and later window
// columns by causality), the window's own columns are then dropped (docs/methods.md, "Window
// scores"). `window` limits what a row sees as in PrefillAttention; entries it does not see count
// 0.
struct WindowScoresParams {
  ConstTensorView q;  // [window_rows, num_q_heads, head_dim], act: the last rows
  ConstTensorView
      keys;  // [num_kv_heads, kv_len, head_dim], kv; head stride free; kv_len >= window_rows
  float scale = 1;
  int64_t window = 0;
  const int32_t* positions = nullptr;                 // [kv_len]; needed when window > 0
  ReductionKind row_reduction = ReductionKind::kSum;  // kSum or kMax; either is 0 without rows
  TensorView out;                                     // [num_q_heads, kv_len - window_rows], f32
};

// out[a, j] += sum over the query heads h of KV head a and the rows i that see entry j of
// row_weights[i] * exp(scale * q[i, h] . k[j] - log_sum_exp[i, h]): the column sums of the
// attention probabilities, a block of rows at a time. Row i sees entries j <= q_start + i; rows may
// lie beyond the entries given (q_start + i >= kv_len sees them all).
struct ColumnScoresParams {
  ConstTensorView q;     // [q_len, num_q_heads, head_dim], act
  ConstTensorView keys;  // [num_kv_heads, kv_len, head_dim], kv; head stride free
  int64_t q_start = 0;
  float scale = 1;
  int64_t window = 0;                  // as in PrefillAttention; needs q_start + q_len <= kv_len
  const int32_t* positions = nullptr;  // [kv_len]; needed when window > 0
  ConstTensorView log_sum_exp;         // [q_len, num_q_heads], f32, as PrefillAttention writes it
  ConstTensorView row_weights;         // [q_len], f32, or empty: all 1
  TensorView out;                      // [num_kv_heads, kv_len], f32; added to
};

// out[h, j] = scale * q[h] . k[j] for the keys of h's group: raw scores of one query, no softmax.
struct QueryScoresParams {
  ConstTensorView q;     // [1, num_q_heads, head_dim], act
  ConstTensorView keys;  // [num_kv_heads, kv_len, head_dim], kv; head stride free
  float scale = 1;
  TensorView out;  // [num_q_heads, kv_len], f32
};

// out[a, j] = -||k_j||, the negative Euclidean norm.
struct KeyNormScoresParams {
  ConstTensorView keys;  // [num_kv_heads, kv_len, head_dim], kv; head stride free
  TensorView out;        // [num_kv_heads, kv_len], f32
};

// out[a, j] = -cos(k_j, anchor_a), anchor_a = mean over j of k_j / ||k_j||. A zero key adds nothing
// to the anchor and scores 0, and so does every key where the anchor is zero.
struct KeyDiffScoresParams {
  ConstTensorView keys;  // [num_kv_heads, kv_len, head_dim], kv; head stride free
  TensorView out;        // [num_kv_heads, kv_len], f32
};

// Adds up first and second moments of the queries before rotary embedding, after their norm where
// the model has one: sum[h, c] += q[i, h, c] and products[h, c, e] += q[i, h, c] q[i, h, e] over
// the rows.
struct QueryMomentsParams {
  ConstTensorView qkv;  // [num_tokens, (num_q_heads + 2 num_kv_heads) head_dim], act; rows may be
                        // strided
  ConstTensorView q_norm_weight;  // [head_dim], f32, or empty: no norm
  float norm_epsilon = 0;
  TensorView sum;       // [num_q_heads, head_dim], f32; added to
  TensorView products;  // [num_q_heads, head_dim, head_dim], f32; added to
};

// Expected attention: z[h, j] = scale k_j . mean_h + scale^2 / 2 k_j^T covariance_h k_j for j >=
// num_sinks, p[h, :] = softmax_j z[h, :], out[a, j] = (mean of p over a's query heads) * ||v_j||;
// the first num_sinks columns are the largest finite float.
struct ExpectedAttentionScoresParams {
  ConstTensorView keys;        // [num_kv_heads, kv_len, head_dim], kv; head stride free
  ConstTensorView values;      // as keys
  ConstTensorView mean;        // [num_q_heads, head_dim], f32
  ConstTensorView covariance;  // [num_q_heads, head_dim, head_dim], f32, symmetric
  float scale = 1;
  int64_t num_sinks = 0;  // columns before num_sinks; all of them where kv_len is no larger
  TensorView out;         // [num_kv_heads, kv_len], f32
};

struct ColumnSpan {
  int64_t begin = 0;
  int64_t end = 0;  // one behind the last
};

// scores[r, j] = value for every row r and every column j of the spans.
struct FillColumnsParams {
  TensorView scores;                  // [num_rows, num_columns], f32
  std::span<const ColumnSpan> spans;  // host array; ascending, inside the columns
  float value = 0;
};

enum class PoolingKind { kMax, kAverage };

// Stride 1, padding kernel/2. Max: padding never wins. Average: the divisor is always `kernel`.
struct PoolScoresParams {
  ConstTensorView scores;  // [num_rows, num_columns], f32
  int64_t kernel = 1;      // odd
  PoolingKind kind = PoolingKind::kMax;
  TensorView out;  // as scores
};

// out[g] = reduction over rows [g * size, (g + 1) * size) with size = num_rows / num_groups,
// ascending.
struct ReduceRowsParams {
  ConstTensorView scores;  // [num_rows, num_columns], f32
  ReductionKind kind = ReductionKind::kSum;
  TensorView out;  // [num_groups, num_columns], f32; num_groups divides num_rows
};

// Per row: the `count` columns with the largest scores (ties: the lower column first; NaN ranks
// last), ascending, followed by the `tail` indices num_columns .. num_columns + tail - 1.
struct SelectTopKParams {
  ConstTensorView scores;  // [num_rows, num_columns], f32
  int64_t count = 0;       // <= num_columns
  int64_t tail = 0;
  TensorView out;  // [num_rows, count + tail], i32
};

// out[i] = x[indices[i]], by row.
struct GatherRowsParams {
  ConstTensorView x;                 // [num_rows, num_columns], any type
  const int32_t* indices = nullptr;  // [num_selected], ascending
  TensorView out;                    // [num_selected, num_columns], the type of x
};

// Copies the selected entries of each KV head, and their positions. On a back end that can be made
// with KvType::kInt8 either side may be i8 with scales: entries in kv are rounded as that type
// says, where NaN or infinity makes a scale NaN and its integers 0; those in i8 are multiplied out
// in float32, or copied with their scales.
struct GatherKvParams {
  ConstTensorView keys;          // [num_kv_heads, kv_len, head_dim], kv or i8; head stride free
  ConstTensorView values;        // as keys
  ConstTensorView key_scales;    // [num_kv_heads, kv_len], f32; head stride free; empty unless i8
  ConstTensorView value_scales;  // as key_scales
  const int32_t* positions = nullptr;  // [kv_len]
  ConstTensorView indices;  // [num_kv_heads, num_selected], i32, ascending by head; or a view of
                            // no rank: all entries in order
  TensorView out_keys;      // [num_kv_heads, num_selected, head_dim], kv or i8; head stride free
  TensorView out_values;    // as out_keys
  TensorView
      out_key_scales;  // [num_kv_heads, num_selected], f32; head stride free; empty unless i8
  TensorView out_value_scales;  // as out_key_scales
  TensorView out_positions;     // [num_kv_heads, num_selected], i32

  bool takes_all() const { return indices.rank() == 0; }
  int64_t num_selected() const { return takes_all() ? keys.dim(1) : indices.dim(1); }
};

// out[i] = the index of the largest logit of row i (ties: the lower), or -1 where a logit is NaN or
// +inf.
struct ArgMaxParams {
  ConstTensorView logits;  // [num_rows, vocab_size], f32
  TensorView out;          // [num_rows], i32
};

// out[i] = natural log of softmax(logits[i])[targets[i]].
struct TargetLogProbsParams {
  ConstTensorView logits;            // [num_rows, vocab_size], f32
  const int32_t* targets = nullptr;  // [num_rows]
  TensorView out;                    // [num_rows], f32
};

}  // namespace fastkv

#endif  // FASTKV_BACKEND_OPS_H_
