// The hot kernels of one instruction-set level, as a table of functions. Single-threaded, no
// allocation; the operations (matmul.h, prefill_attention.h, ...) cut their work into calls of
// these.
//
// Gemm computes every output as one chain of multiply-adds in ascending k,
//   c = fma(a[k-1], b[k-1], ... fma(a[1], b[1], fma(a[0], b[0], c0)))
// whatever the tile and the number of rows: a result does not depend on how work is cut into
// blocks, on the number of threads or on the other rows, and all levels that have fused
// multiply-add agree. MatVec adds in another order, because it reads weights along k; that order
// too is fixed for a level, whatever the number of rows and outputs.
#ifndef FASTKV_BACKEND_CPU_KERNELS_H_
#define FASTKV_BACKEND_CPU_KERNELS_H_

#include <cstdint>

#include "backend/cpu/cpu_features.h"
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

// out[i, j] = x[i, :] . w[j, :]; w is read once. num_rows <= kMatVecRows.
struct MatVecArgs {
  const float* x = nullptr;  // [num_rows, depth], each row as PrepareInput wrote it for w_type
  int64_t x_stride = 0;
  int64_t num_rows = 0;
  const void* w = nullptr;  // [num_outputs, depth]
  DType w_type = DType::kF32;
  int64_t w_stride = 0;
  int64_t num_outputs = 0;
  int64_t depth = 0;
  float* out = nullptr;  // [num_rows, num_outputs]
  int64_t out_stride = 0;
};

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

struct Kernels {
  CpuLevel level;
  int64_t panel_width;  // columns of a panel

  void (*gemm)(const GemmArgs& args);
  // One row of x (f32 or bf16) as MatVec wants it for weights of `w_type`: as f32, in an order of
  // its own.
  void (*prepare_input)(const void* x, DType type, DType w_type, int64_t depth, float* out);
  void (*mat_vec)(const MatVecArgs& args);

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

  // Null below AVX-512-BF16. Packs the transpose of w[num_columns, depth] (bf16) as panels of pairs
  // of rows, [ceil(depth / kPairDepth) * kPairDepth / 2, panel_width] each; rows beyond depth are
  // 0.
  void (*pack_pairs)(const void* w, int64_t stride, int64_t num_columns, int64_t depth,
                     uint32_t* panels) = nullptr;
  void (*gemm_pairs)(const GemmPairsArgs& args) = nullptr;

  float (*softmax_step)(const SoftmaxArgs& args);
  // sums[j] += factor * exp(scale * s[j] - max), j < count. Exponents are at most 0, or a little
  // more by rounding.
  void (*add_exponentials)(const float* scores, int64_t count, float scale, float max, float factor,
                           float* sums);
  // x[j] *= factor.
  void (*scale_row)(float* x, int64_t count, float factor);

  void (*quadratic_forms)(const QuadraticFormArgs& args);
};

// The table for `level`, which the processor must support; lives as long as the process. A level
// that has no kernels of its own gets those of the next lower one.
const Kernels& KernelsFor(CpuLevel level);

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_KERNELS_H_
