// Products with weights in blocks, written over the vocabulary `Simd` of the including translation
// unit. See kernels.h.
//
// Few rows of x are multiplied straight from the blocks, in integers: x is prepared as for kInt8,
// in 16 bits, whose rounding is 256 times smaller than that of 8 bits.
//
// Many rows go through panels, which are decoded a block of columns at a time. Blocks are turned
// over as integers, two columns a word; then every lane is a row of w, and its scale a lane too.
#ifndef FASTKV_BACKEND_CPU_BLOCK_KERNELS_INL_H_
#define FASTKV_BACKEND_CPU_BLOCK_KERNELS_INL_H_

#include <cstdint>

#include "backend/cpu/block_layouts-inl.h"
#include "backend/cpu/int8_kernels-inl.h"
#include "backend/cpu/mat_vec_kernels-inl.h"

namespace fastkv::cpu {
namespace {

template <typename Layout>
struct BlockElements {
  static constexpr int kRuns = Layout::kRuns;
  static constexpr int kScales = Layout::kScalesPerRun;
  static constexpr int64_t kDepthBlock = 1024;
  static constexpr int64_t kBlockBytes = kDepthBlock / (kRuns * kRunValues) * Layout::kBytes;
  static_assert(kDepthBlock % kInputBlock == 0);
  using Factors = typename Layout::Factors;

  template <int kRows, int kOutputs>
  struct Sums {
    Simd::F of[kRows][kOutputs];
  };

  // Adds the products of one run of 32 columns. `inputs`: the run's integers of the first row of x,
  // `stride` from one row to the next. A lane adds at most 16 products below 2^22 in 32 bits.
  template <int kRows, int kOutputs>
  static FASTKV_INLINE void AddRun(const BlockByte* const blocks[kOutputs],
                                   const Factors factors[kOutputs], int half, int quarter,
                                   const int16_t* inputs, int64_t stride,
                                   Sums<kRows, kOutputs>& sums) {
    const int run = 4 * half + quarter;
    Simd::I x[kRows][kRunVectors];
    // Of the inputs that meet one offset.
    Simd::F totals[kRows][kScales * kRunVectors];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kRunVectors; ++v) {
        x[r][v] = Simd::LoadWords(inputs + r * stride + v * 2 * kLanes);
      }
      if constexpr (Layout::kHasOffset) AddUp(x[r], totals[r]);
    }
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      Simd::I w[kRunVectors];
      Layout::LoadRun(blocks[o], half, quarter, w);
      if constexpr (kScales == 1) {
        const Simd::F scale = Simd::Set(factors[o].Scale(run, 0));
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          Simd::I dot = Simd::AsWords(Simd::Zero());
#pragma GCC unroll 4
          for (int v = 0; v < kRunVectors; ++v) dot = Simd::AddPairProducts(dot, w[v], x[r][v]);
          sums.of[r][o] = Simd::Fma(Simd::ToFloats(dot), scale, sums.of[r][o]);
        }
      } else {
#pragma GCC unroll 4
        for (int v = 0; v < kRunVectors; ++v) {
          const Simd::F scale =
              SetHalvesOf16(v, factors[o].Scale(run, 0), factors[o].Scale(run, 1));
#pragma GCC unroll 4
          for (int r = 0; r < kRows; ++r) {
            const Simd::I dot = Simd::AddPairProducts(Simd::AsWords(Simd::Zero()), w[v], x[r][v]);
            sums.of[r][o] = Simd::Fma(Simd::ToFloats(dot), scale, sums.of[r][o]);
          }
        }
      }
      if constexpr (Layout::kHasOffset) {
        AddOffsets<kRows, kOutputs>(factors[o], run, totals, o, sums);
      }
    }
  }

  // Every lane takes the offsets of its own columns, so that what cancels does so in the lane.
  template <int kRows, int kOutputs>
  static FASTKV_INLINE void AddOffsets(const Factors& factors, int run,
                                       const Simd::F totals[kRows][kScales * kRunVectors], int o,
                                       Sums<kRows, kOutputs>& sums) {
#pragma GCC unroll 4
    for (int v = 0; v < (kScales == 1 ? 1 : kRunVectors); ++v) {
      const Simd::F offset =
          kScales == 1 ? Simd::Set(factors.Offset(run, 0))
                       : SetHalvesOf16(v, factors.Offset(run, 0), factors.Offset(run, kScales - 1));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums.of[r][o] = Simd::Fma(totals[r][v], offset, sums.of[r][o]);
      }
    }
  }

  // Sums of pairs of inputs: of the whole run, or of each vector where that has its own factors.
  static FASTKV_INLINE void AddUp(const Simd::I x[kRunVectors],
                                  Simd::F totals[kScales * kRunVectors]) {
    const Simd::I ones = Simd::PairsAdd(Simd::AsWords(Simd::Zero()), 1);
    Simd::I total = Simd::AsWords(Simd::Zero());
#pragma GCC unroll 4
    for (int v = 0; v < kRunVectors; ++v) {
      if constexpr (kScales == 1) {
        total = Simd::AddPairProducts(total, x[v], ones);
      } else {
        totals[v] = Simd::ToFloats(Simd::AddPairProducts(Simd::AsWords(Simd::Zero()), x[v], ones));
      }
    }
    if constexpr (kScales == 1) totals[0] = Simd::ToFloats(total);
  }

  // As StoredElements::Multiply.
  template <int kRows, int kOutputs, bool kOverRows>
  static FASTKV_INLINE void Multiply(const MatVecArgs& args, const MatVecTile& tile) {
    const int64_t scale_offset = InputScaleOffset(args.depth);
    const int64_t stride = args.x_stride * static_cast<int64_t>(sizeof(float) / sizeof(int16_t));
    const float* x = args.x + tile.row * args.x_stride;
    const BlockByte* w[kOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) {
      w[o] = static_cast<const BlockByte*>(args.w) +
             (tile.output + o * tile.step) * args.w_row_bytes +
             tile.begin / (kRuns * kRunValues) * Layout::kBytes;
    }
    Simd::F sums[kRows][kOutputs];
    LoadSums<kRows, kOutputs>(tile, sums);
    for (int64_t begin = tile.begin; begin < tile.end; begin += kInputBlock) {
      const int16_t* inputs = InputIntegers(x) + begin;
      // In the unit of the inputs' integers.
      Sums<kRows, kOutputs> part;
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) part.of[r][o] = Simd::Zero();
      }
      const int64_t num_runs = Min(kInputBlock, tile.end - begin) / kRunValues;
      for (int64_t run = 0; run < num_runs; run += kRuns) {
        Factors factors[kOutputs];
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) {
          for (int64_t i = 0; i < Layout::kBytes; i += 64) PrefetchAhead<kOverRows>(w[o] + i, tile);
          Layout::LoadFactors(w[o], factors[o]);
        }
        if constexpr (kRuns == 1) {
          AddRun<kRows, kOutputs>(w, factors, 0, 0, inputs, stride, part);
          inputs += kRunValues;
        } else {
          for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
            for (int quarter = 0; quarter < 4; ++quarter) {
              AddRun<kRows, kOutputs>(w, factors, half, quarter, inputs, stride, part);
              inputs += kRunValues;
            }
          }
        }
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) w[o] += Layout::kBytes;
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Simd::F scale = Simd::Set(x[r * args.x_stride + scale_offset + begin / kInputBlock]);
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) {
          sums[r][o] = Simd::Fma(part.of[r][o], scale, sums[r][o]);
        }
      }
    }
    if (tile.end < args.depth) return StorePartialSums<kRows, kOutputs>(tile, sums);
    for (int r = 0; r < kRows; ++r) {
      for (int o = 0; o < kOutputs; ++o) {
        args.out[(tile.row + r) * args.out_stride + tile.output + o * tile.step] =
            Simd::ReduceAdd(sums[r][o]);
      }
    }
  }
};

// Calls store(k, first, second) for columns k and k + 1 of every row, a lane each, k even and
// ascending. `rows`: where the rows' columns begin.
template <typename Layout, typename Store>
FASTKV_INLINE void DecodeTransposed(const BlockByte* const rows[kLanes], int64_t depth,
                                    const Store& store) {
  constexpr int kCount = Layout::Factors::kCount;
  constexpr int kNumValues = sizeof(typename Layout::Factors) / sizeof(float);
  constexpr int64_t kBlockValues = Layout::kRuns * kRunValues;
  for (int64_t k = 0; k < depth; k += kBlockValues) {
    const BlockByte* blocks[kLanes];
    float factors[kNumValues][kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      blocks[i] = rows[i] + k / kBlockValues * Layout::kBytes;
      typename Layout::Factors of_row;
      Layout::LoadFactors(blocks[i], of_row);
      for (int f = 0; f < kNumValues; ++f) factors[f][i] = of_row.values[f];
    }
    for (int half = 0; half < (Layout::kRuns + 3) / 4; ++half) {
#pragma GCC unroll 4
      for (int quarter = 0; quarter < (Layout::kRuns < 4 ? Layout::kRuns : 4); ++quarter) {
        const int run = 4 * half + quarter;
        Simd::I words[kRunVectors][kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          Simd::I integers[kRunVectors];
          Layout::LoadRun(blocks[i], half, quarter, integers);
#pragma GCC unroll 4
          for (int v = 0; v < kRunVectors; ++v) words[v][i] = integers[v];
        }
#pragma GCC unroll 4
        for (int v = 0; v < kRunVectors; ++v) {
          Simd::Transpose(words[v]);
#pragma GCC unroll 16
          for (int p = 0; p < kLanes; ++p) {
            const int column = 2 * (v * kLanes + p);
            const int f = run * Layout::kScalesPerRun + column / 16 * (Layout::kScalesPerRun - 1);
            const Simd::F scale = Simd::Load(factors[f]);
            Simd::F offset = Simd::Zero();
            if constexpr (Layout::kHasOffset) offset = Simd::Load(factors[kCount + f]);
            store(k + run * kRunValues + column,
                  Simd::Fma(Simd::FirstInteger(words[v][p]), scale, offset),
                  Simd::Fma(Simd::SecondInteger(words[v][p]), scale, offset));
          }
        }
      }
    }
  }
}

// As WeightKernels::pack_transposed.
template <typename Layout>
void PackTransposedBlocks(const void* w, int64_t row_bytes, int64_t num_columns, int64_t depth,
                          float* panels) {
  for (int64_t panel = 0; panel * kPanelWidth < num_columns; ++panel) {
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      const BlockByte* rows[kLanes];
      RowPointers(static_cast<const BlockByte*>(w), row_bytes, panel * kPanelWidth + v * kLanes,
                  num_columns, rows);
      float* out = panels + panel * kPanelWidth * depth + v * kLanes;
      DecodeTransposed<Layout>(rows, depth, [out](int64_t k, Simd::F first, Simd::F second) {
        Simd::Store(out + k * kPanelWidth, first);
        Simd::Store(out + (k + 1) * kPanelWidth, second);
      });
    }
  }
}

// As WeightKernels::pack_pairs; rounds to bf16.
template <typename Layout>
void PackPairsOfBlocks(const void* w, int64_t row_bytes, int64_t num_columns, int64_t depth,
                       uint32_t* panels) {
  static_assert(kRunValues % kPairDepth == 0);
  for (int64_t panel = 0; panel * kPanelWidth < num_columns; ++panel) {
    for (int v = 0; v < Simd::kPanelVectors; ++v) {
      const BlockByte* rows[kLanes];
      RowPointers(static_cast<const BlockByte*>(w), row_bytes, panel * kPanelWidth + v * kLanes,
                  num_columns, rows);
      uint32_t* out = panels + panel * kPanelWidth * (depth / 2) + v * kLanes;
      DecodeTransposed<Layout>(rows, depth, [out](int64_t k, Simd::F first, Simd::F second) {
        Simd::StoreWords(out + k / 2 * kPanelWidth, Simd::RoundToPairs(first, second));
      });
    }
  }
}

template <typename Layout>
constexpr WeightKernels BlockWeightKernels() {
  return {.prepare_input = PrepareInt8Input,
          .mat_vec = MatVecOf<BlockElements<Layout>>,
          .pack_transposed = PackTransposedBlocks<Layout>};
}

}  // namespace
}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_BLOCK_KERNELS_INL_H_
