// Packing and product kernels, written over the vocabulary `Simd` of the including translation unit
// (kernels_<level>.cc). See kernels.h for what each does and for the order of additions.
#ifndef FASTKV_BACKEND_CPU_GEMM_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_GEMM_KERNELS_INL_H_

#include <cstdint>
#include <cstring>

#include "backend/cpu/kernels.h"
#include "base/float16.h"

namespace fastkv::cpu {
namespace {

constexpr int kLanes = Simd::kLanes;
constexpr int kPanelWidth = Simd::kLanes * Simd::kPanelVectors;

FASTKV_INLINE int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
FASTKV_INLINE int64_t PaddedTo(int64_t multiple, int64_t x) {
  return (x + multiple - 1) / multiple * multiple;
}

FASTKV_INLINE float ScalarToFloat(float x) { return x; }
// By way of vectors: a shared inline function compiled at this level could be linked into others.
FASTKV_INLINE float ScalarToFloat(BFloat16 x) {
  const BFloat16 copies[Simd::kLanes] = {x};
  float floats[Simd::kLanes];
  Simd::Store(floats, Simd::LoadBF16(copies));
  return floats[0];
}
FASTKV_INLINE float ScalarToFloat(Float16 x) {
  const Float16 copies[Simd::kLanes] = {x};
  float floats[Simd::kLanes];
  Simd::Store(floats, Simd::LoadF16(copies));
  return floats[0];
}
FASTKV_INLINE float ScalarToFloat(int8_t x) { return x; }
FASTKV_INLINE Simd::F LoadFloats(const float* p) { return Simd::Load(p); }
FASTKV_INLINE Simd::F LoadFloats(const BFloat16* p) { return Simd::LoadBF16(p); }
FASTKV_INLINE Simd::F LoadFloats(const Float16* p) { return Simd::LoadF16(p); }
FASTKV_INLINE Simd::F LoadFloats(const int8_t* p) { return Simd::LoadInt8(p); }

// Elements of depth that one transposed block covers: bf16 is turned over in pairs, as words.
template <typename T>
constexpr int kBlockDepth = kLanes;
template <>
constexpr int kBlockDepth<BFloat16> = 2 * kLanes;

// From kLanes rows, elements [k, k + kBlockDepth): columns[j] holds element k + j of every row.
// Elements of other sizes than words are widened first, bf16 afterwards.
template <typename T>
FASTKV_INLINE void LoadTransposed(const T* const* rows, int64_t k,
                                  Simd::F columns[kBlockDepth<T>]) {
  if constexpr (kBlockDepth<T> == kLanes && sizeof(T) != sizeof(float)) {
    Simd::I words[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) words[i] = Simd::AsWords(LoadFloats(rows[i] + k));
    Simd::Transpose(words);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) columns[i] = Simd::AsFloats(words[i]);
    return;
  }
  const void* from[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) from[i] = rows[i] + k;
  Simd::I words[kLanes];
  Simd::LoadTransposed(from, words);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if constexpr (kBlockDepth<T> == kLanes) {
      columns[i] = Simd::AsFloats(words[i]);
    } else {
      columns[2 * i] = Simd::FirstOfPair(words[i]);
      columns[2 * i + 1] = Simd::SecondOfPair(words[i]);
    }
  }
}
// Rows first .. first + kLanes - 1; the last one again where there are fewer.
template <typename T>
FASTKV_INLINE void RowPointers(const T* w, int64_t stride, int64_t first, int64_t num_rows,
                               const T** rows) {
  for (int i = 0; i < kLanes; ++i) rows[i] = w + Min(first + i, num_rows - 1) * stride;
}

template <typename T>
void PackTransposedOf(const T* w, int64_t stride, int64_t num_columns, int64_t depth,
                      float* panels) {
  for (int64_t panel = 0; panel * kPanelWidth < num_columns; ++panel) {
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      const T* rows[kLanes];
      RowPointers(w, stride, panel * kPanelWidth + v * kLanes, num_columns, rows);
      float* out = panels + panel * kPanelWidth * depth + v * kLanes;
      int64_t k = 0;
      for (; k + kBlockDepth<T> <= depth; k += kBlockDepth<T>) {
        Simd::F columns[kBlockDepth<T>];
        LoadTransposed(rows, k, columns);
#pragma GCC unroll 32
        for (int j = 0; j < kBlockDepth<T>; ++j) {
          Simd::Store(out + (k + j) * kPanelWidth, columns[j]);
        }
      }
      for (; k < depth; ++k) {
        for (int i = 0; i < kLanes; ++i) out[k * kPanelWidth + i] = ScalarToFloat(rows[i][k]);
      }
    }
  }
}

template <typename T>
void ExpandRowsOf(const T* x, int64_t stride, int64_t num_rows, int64_t num_columns, float* out,
                  int64_t out_stride) {
  for (int64_t i = 0; i < num_rows; ++i) {
    const T* from = x + i * stride;
    float* to = out + i * out_stride;
    int64_t j = 0;
    for (; j + kLanes <= num_columns; j += kLanes) Simd::Store(to + j, LoadFloats(from + j));
    for (; j < num_columns; ++j) to[j] = ScalarToFloat(from[j]);
  }
}

template <typename T>
void PackPanelsOf(const T* b, int64_t stride, int64_t num_columns, int64_t depth, float* panels) {
  for (int64_t first = 0; first < num_columns; first += kPanelWidth) {
    float* out = panels + first * depth;
    const int64_t width = Min(kPanelWidth, num_columns - first);
    if (width == kPanelWidth) {
      for (int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 4
        for (int v = 0; v < Simd::kPanelVectors; ++v) {
          Simd::Store(out + k * kPanelWidth + v * kLanes,
                      LoadFloats(b + k * stride + first + v * kLanes));
        }
      }
      continue;
    }
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t j = 0; j < kPanelWidth; ++j) {
        out[k * kPanelWidth + j] = j < width ? ScalarToFloat(b[k * stride + first + j]) : 0.0f;
      }
    }
  }
}

// One tile of c: kRows rows by one panel, all of depth.
template <int kRows>
FASTKV_INLINE void GemmTile(const float* a, int64_t a_stride, const float* b, int64_t depth,
                            float* c, int64_t c_stride, bool accumulate) {
  Simd::F sums[kRows][Simd::kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      sums[r][v] = accumulate ? Simd::Load(c + r * c_stride + v * kLanes) : Simd::Zero();
    }
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; ++k) {
    Simd::F columns[Simd::kPanelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      columns[v] = Simd::Load(b + k * kPanelWidth + v * kLanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Simd::F x = Simd::Set(a[r * a_stride + k]);
#pragma GCC unroll 4
      for (int v = 0; v < Simd::kPanelVectors; ++v) {
        sums[r][v] = Simd::Fma(x, columns[v], sums[r][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      Simd::Store(c + r * c_stride + v * kLanes, sums[r][v]);
    }
  }
}

// The last, incomplete tile of rows: kRows or fewer.
template <int kRows>
void GemmLastTile(int64_t num_rows, const float* a, int64_t a_stride, const float* b, int64_t depth,
                  float* c, int64_t c_stride, bool accumulate) {
  if (num_rows == kRows) {
    GemmTile<kRows>(a, a_stride, b, depth, c, c_stride, accumulate);
  } else if constexpr (kRows > 1) {
    GemmLastTile<kRows - 1>(num_rows, a, a_stride, b, depth, c, c_stride, accumulate);
  }
}

void Gemm(const GemmArgs& args) {
  constexpr int kRowTile = Simd::kRowTile;
  for (int64_t panel = 0; panel < args.num_panels; ++panel) {
    const float* b = args.b_panels + panel * args.b_panel_stride;
    float* c = args.c + panel * kPanelWidth;
    int64_t row = 0;
    for (; row + kRowTile <= args.num_rows; row += kRowTile) {
      GemmTile<kRowTile>(args.a + row * args.a_stride, args.a_stride, b, args.depth,
                         c + row * args.c_stride, args.c_stride, args.accumulate);
    }
    if (row < args.num_rows) {
      GemmLastTile<kRowTile - 1>(args.num_rows - row, args.a + row * args.a_stride, args.a_stride,
                                 b, args.depth, c + row * args.c_stride, args.c_stride,
                                 args.accumulate);
    }
  }
}

// Calls function(pointer of the element type).
template <typename Function>
FASTKV_INLINE void WithType(const void* data, DType type, const Function& function) {
  if (type == DType::kF32) {
    function(static_cast<const float*>(data));
  } else if (type == DType::kBF16) {
    function(static_cast<const BFloat16*>(data));
  } else {
    function(static_cast<const Float16*>(data));
  }
}

void PackTransposed(const void* w, DType type, int64_t stride, int64_t num_columns, int64_t depth,
                    float* panels) {
  WithType(w, type,
           [&](const auto* data) { PackTransposedOf(data, stride, num_columns, depth, panels); });
}

// For the table of weight formats, whose strides count bytes.
template <typename T>
void PackTransposedRows(const void* w, int64_t row_bytes, int64_t num_columns, int64_t depth,
                        float* panels) {
  PackTransposedOf(static_cast<const T*>(w), row_bytes / int64_t{sizeof(T)}, num_columns, depth,
                   panels);
}

void PackPanels(const void* b, DType type, int64_t stride, int64_t num_columns, int64_t depth,
                float* panels) {
  WithType(b, type,
           [&](const auto* data) { PackPanelsOf(data, stride, num_columns, depth, panels); });
}

void ExpandRows(const void* x, DType type, int64_t stride, int64_t num_rows, int64_t num_columns,
                float* out, int64_t out_stride) {
  WithType(x, type, [&](const auto* data) {
    ExpandRowsOf(data, stride, num_rows, num_columns, out, out_stride);
  });
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_GEMM_KERNELS_INL_H_
