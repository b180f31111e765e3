// The hot kernels of one instruction-set level, as a table of functions. Single-threaded, no
// allocation; the operations (matmul.h, prefill_attention.h, ...) cut their work into calls of
// these.
//
// Gemm computes every output as one chain of multiply-adds in ascending k,
//   c = fma(a[k-1], b[k-1], ... fma(a[1], b[1], fma(a[0], b[0], c0)))
// whatever the tile and the number of rows: a result does not depend on how work is cut into
// blocks, on the number of threads or on the other rows, and all levels that have fused
// multiply-add agree. MatVec adds in another order, because it reads weights along k; that order
// too is fixed for a level and a format, whatever the number of rows and outputs.
#ifndef FASTKV_BACKEND_CPU_KERNELS_H_
#define FASTKV_BACKEND_CPU_KERNELS_H_

#include <cstdint>

#include "backend/cpu/cpu_features.h"
#include "backend/cpu/weight_rows.h"
#include "base/checked_math.h"
#include "tensor/dtype.h"

namespace fastkv::cpu {

// c[m, n] (+)= a[m, k] * b[k, n] with b cut into panels of Kernels::panel_width columns:
// b[p * b_panel_stride + k * panel_width + column]. c is written up to num_panels * panel_width.
struct GemmArgs {
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* b_panels = nullptr;
  int64_t b_panel_stride = 0;
  int64_t num_rows = 0;
  int64_t num_panels = 0;
  int64_t depth = 0;  // k
  float* c = nullptr;
  int64_t c_stride = 0;
  bool accumulate = false;  // start from c instead of 0
};

// Rows of x that MatVec takes.
inline constexpr int64_t kMatVecRows = 8;

// out[i, j] = x[i, :] . w[j, :] for the rows of w as stored, before their scales; w is read once.
// num_rows <= kMatVecRows.
struct MatVecArgs {
  const float* x = nullptr;  // [num_rows, depth], each row as PrepareInput of w's format wrote it
  int64_t x_stride = 0;
  int64_t num_rows = 0;
  const void* w = nullptr;  // [num_outputs, depth]
  int64_t w_row_bytes = 0;
  int64_t num_outputs = 0;
  int64_t depth = 0;
  float* out = nullptr;  // [num_rows, num_outputs]
  int64_t out_stride = 0;
};

// Values of x that share a scale where x is turned into integers.
inline constexpr int64_t kInputBlock = 256;
// The room that a row of x takes once it is prepared, for any format, and the distance between such
// rows: half a page and a line more than whole pages, so that the same columns of eight rows
// take no more than half the ways of a set of the first-level cache.
constexpr int64_t PreparedInputFloats(int64_t depth) {
  constexpr int64_t kPageFloats = 1024;
  constexpr int64_t kExcess = kPageFloats / 2 + 16;
  return RoundUp(RoundUp(depth, kInputBlock) - kExcess, kPageFloats) + kExcess;
}
// Rows of kInt8 are filled up with zeros to a multiple of this.
inline constexpr int64_t kInt8RowBytes = 64;

// Where the processor multiplies pairs of bf16, c[m, n] (+)= a[m, k] * b[k, n] with a in bf16 and b
// as PackPairs wrote it, depth a multiple of kPairDepth. a is read and c written up to a multiple
// of kPairRows rows; what is there beyond num_rows does not matter. As in Gemm, the order of
// additions depends on depth alone, but it is the instruction's own.
inline constexpr int64_t kPairDepth = 32;
inline constexpr int64_t kPairRows = 32;
struct GemmPairsArgs {
  const uint16_t* a = nullptr;
  int64_t a_stride = 0;
  const uint32_t* b_panels = nullptr;
  int64_t b_panel_stride = 0;  // in words
  int64_t num_rows = 0;
  int64_t num_panels = 0;
  int64_t depth = 0;
  float* c = nullptr;
  int64_t c_stride = 0;
  bool accumulate = false;
};

// One step of the online softmax for one row. Scores s[0, num_columns) become
// exp(scale * s - max) inside [begin, end) and 0 outside; `max` and `sum` are brought up to date.
// Returns the factor by which what was accumulated under the old maximum must be multiplied.
struct SoftmaxArgs {
  float* scores = nullptr;
  int64_t num_columns = 0;  // a multiple of panel_width
  int64_t begin = 0, end = 0;
  float scale = 1;
  float* max = nullptr;  // of scale * s; -infinity before the first step
  float* sum = nullptr;
};

// For every column j of x, [depth, num_panels * panel_width] as pack_transposed wrote it,
//   out[j] = sum over k of x[k, j] * (linear_factor * linear[k] + quadratic_factor * mx[k, j])
// which is a quadratic form in x's columns when mx = M x.
struct QuadraticFormArgs {
  const float* x_panels = nullptr;
  const float* mx = nullptr;  // [depth, num_panels * panel_width]
  int64_t mx_stride = 0;
  const float* linear = nullptr;  // [depth]
  float linear_factor = 1;
  float quadratic_factor = 1;
  int64_t depth = 0;
  int64_t num_panels = 0;
  float* out = nullptr;  // [num_panels * panel_width]
};

// Rows of one token (its query heads of one KV head) over entries [0, num_entries) of that head,
// all visible, each read once. The sums of a row depend on num_rows, but not on the other rows.
inline constexpr int64_t kEntryRowsTogether = 4;
inline constexpr int64_t kEntryStateFloats = 20;  // for each kEntryRowsTogether rows
struct AttendEntriesArgs {
  // [num_rows rounded up to kEntryRowsTogether, query_stride]: each row as PrepareInput writes
  // query_stride elements for `type` (for i8: for f32), which are 0 beyond head_dim. query_stride
  // is a multiple of panel_width.
  const float* queries = nullptr;
  int64_t query_stride = 0;
  bool queries_are_bf16 = false;  // every element is a bf16 number
  int64_t num_rows = 0;
  DType type = DType::kF32;             // of keys and values: f32, bf16 or i8
  const void* keys = nullptr;           // [num_entries, head_dim]
  const void* values = nullptr;         // as keys
  const float* key_scales = nullptr;    // [num_entries], for i8: what an entry is multiplied with
  const float* value_scales = nullptr;  // as key_scales
  int64_t key_stride = 0;
  int64_t value_stride = 0;
  int64_t num_entries = 0;
  int64_t head_dim = 0;
  float scale = 1;
  // Scratch: as queries, and kEntryStateFloats for each kEntryRowsTogether rows.
  float* weighted = nullptr;
  float* state = nullptr;
  // [num_rows, head_dim + 2]: sums of values weighted with exp(scale * score - maximum); the
  // maximum of scale * score, -infinity without entries; the sum of those weights.
  float* out = nullptr;
  int64_t out_stride = 0;
};

// A block of keys and values of one KV head taken into the attention of many rows of queries, all
// in bf16. Scores are computed turned over, [key, row]: each row has a lane of its own, and the
// softmax needs nothing across lanes. Keys are used as they are stored.
//
// A row's weights are 2^(scale * score - reference). The reference is the largest scaled score of
// the first block that the row sees, and changes only where a block's weights add up to more than
// kPairWeightLimit: so nearly all blocks are weighed in one pass, and nothing is rescaled. (The
// conditional rescaling of FlashAttention-4, taken further: bf16 has the range of float32.)
inline constexpr int64_t kPairKeys = 128;
inline constexpr float kPairWeightLimit = 0x1p20f;
struct AttendPairsArgs {
  // [num_keys rounded up to kPairRows, key_stride], each row with depth elements; what stands in
  // rows beyond num_keys does not matter.
  const uint16_t* keys = nullptr;
  int64_t key_stride = 0;
  const uint16_t* values = nullptr;  // of the block, as pack_value_pairs wrote it
  int64_t first_entry = 0;           // of the block
  int64_t num_keys = 0;              // <= kPairKeys
  int64_t depth = 0;                 // head_dim rounded up to kPairDepth
  // Rows, a lane each: panels of panel_width lanes.
  int64_t num_panels = 0;
  const uint32_t* queries = nullptr;  // as pack_pairs wrote them
  const int32_t* begin = nullptr;     // [num_panels * panel_width]: a row sees entries [begin, end)
  const int32_t* end = nullptr;
  float scale = 1;            // log2(e) times the scale of the scores
  float* weighted = nullptr;  // [num_panels, depth, panel_width]: sums of weighted values; added to
  float* reference = nullptr;  // [num_panels * panel_width], -infinity before the first block
  float* sum = nullptr;        // [num_panels * panel_width], of the weights; 0 before
  // Scratch.
  float* scores = nullptr;            // [kPairKeys, panel_width]
  uint32_t* probabilities = nullptr;  // [kPairKeys / 2, panel_width]
};

// What a weight format brings along.
struct WeightKernels {
  // One row of x (f32 or bf16) as MatVec wants it. For stored elements: `depth` floats in an order
  // of the format's own. For kInt8: 16-bit integers and a scale for every kInputBlock of them, each
  // off by at most 2^-16 of the block's largest, in up to PreparedInputFloats(depth) floats; a
  // block with NaN or infinity makes every product NaN.
  void (*prepare_input)(const void* x, DType type, int64_t depth, float* out) = nullptr;
  void (*mat_vec)(const MatVecArgs& args) = nullptr;
  // The transpose of w[num_columns, depth] as panels of floats, packed: panel p holds rows
  // p * panel_width ... of w. Columns beyond num_columns of the last panel hold finite copies.
  void (*pack_transposed)(const void* w, int64_t row_bytes, int64_t num_columns, int64_t depth,
                          float* panels) = nullptr;
  // Null below AVX-512-BF16, and where bf16 cannot hold the values. Packs the transpose of
  // w[num_columns, depth] as panels of pairs of rows in bf16, [ceil(depth / kPairDepth) *
  // kPairDepth / 2, panel_width] each; rows beyond depth are 0.
  void (*pack_pairs)(const void* w, int64_t row_bytes, int64_t num_columns, int64_t depth,
                     uint32_t* panels) = nullptr;
};

struct Kernels {
  CpuLevel level;
  int64_t panel_width;  // columns of a panel

  void (*gemm)(const GemmArgs& args);
  // The transpose of w[num_columns, depth] (f32, bf16, f16) as panels, packed: panel p holds rows
  // p * panel_width ... of w. Columns beyond num_columns of the last panel hold finite copies.
  void (*pack_transposed)(const void* w, DType type, int64_t stride, int64_t num_columns,
                          int64_t depth, float* panels);
  // b[depth, num_columns] as panels, packed; columns beyond num_columns are 0.
  void (*pack_panels)(const void* b, DType type, int64_t stride, int64_t num_columns, int64_t depth,
                      float* panels);
  // Rows of f32, bf16 or f16 as f32 rows.
  void (*expand_rows)(const void* x, DType type, int64_t stride, int64_t num_rows,
                      int64_t num_columns, float* out, int64_t out_stride);

  // Packs the transpose of w[num_columns, depth] (bf16) as panels of pairs of rows, [ceil(depth /
  // kPairDepth) * kPairDepth / 2, panel_width] each; rows beyond depth are 0. Columns beyond
  // num_columns of the last panel hold finite copies.
  void (*pack_pairs)(const void* w, int64_t row_bytes, int64_t num_columns, int64_t depth,
                     uint32_t* panels);
  WeightKernels weights[kNumWeightFormats];
  const WeightKernels& weight(WeightFormat format) const {
    return weights[static_cast<int>(format)];
  }
  // One row of weights (f32, bf16, f16) in kInt8, filled up with zeros to a multiple of
  // kInt8RowBytes: scale = max|w| / 127 and bytes w * (127 / max|w|), to nearest, ties to even, all
  // in float32. A row below 2^-120 becomes 0; one with NaN or infinity gets the scale NaN.
  void (*quantize_row)(const void* w, DType type, int64_t depth, int8_t* out, float* scale);

  // Null below AVX-512-BF16, where pairs are not multiplied faster than float32.
  void (*gemm_pairs)(const GemmPairsArgs& args) = nullptr;

  float (*softmax_step)(const SoftmaxArgs& args);
  // sums[j] += factor * exp(scale * s[j] - max), j < count. Exponents are at most 0, or a little
  // more by rounding.
  void (*add_exponentials)(const float* scores, int64_t count, float scale, float max, float factor,
                           float* sums);
  // x[j] *= factor.
  void (*scale_row)(float* x, int64_t count, float factor);
  // sums[j] += factor * x[j].
  void (*add_scaled_row)(const float* x, int64_t count, float factor, float* sums);

  void (*attend_entries)(const AttendEntriesArgs& args);

  // The transpose of values[num_entries, head_dim] (bf16), num_entries <= kPairKeys, as AttendPairs
  // reads it: [head_dim rounded up to kPairDepth, kPairKeys], 0 beyond both counts. In each run of
  // kPairDepth columns, columns 2 t and 2 t + 1 hold entries t and t + kPairDepth / 2 of the run.
  void (*pack_value_pairs)(const void* values, int64_t stride, int64_t num_entries,
                           int64_t head_dim, uint16_t* out);
  void (*attend_pairs)(const AttendPairsArgs& args);

  void (*quadratic_forms)(const QuadraticFormArgs& args);
};

// The table for `level`, which the processor must support; lives as long as the process. A level
// that has no kernels of its own gets those of the next lower one.
const Kernels& KernelsFor(CpuLevel level);

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_KERNELS_H_
