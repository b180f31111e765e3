// AVX-512, and products of bf16 on the tile registers: 16 x 16 floats += 16 x 32 by 32 x 16 bf16.
#include "backend/cpu/simd_avx512.h"
// The vocabulary comes first: the kernels are written over it.
#include "backend/cpu/kernel_table-inl.h"
#include "backend/cpu/kernel_tables.h"
#include "backend/cpu/round_to_pairs-inl.h"

namespace fastkv::cpu {
namespace {

constexpr int64_t kTile = 16;  // rows of a tile register, and words of a row
static_assert(kPairRows == 2 * kTile && kPanelWidth == 2 * kTile && kPairDepth == 2 * kTile);

// The layout that LDTILECFG reads (Intel SDM, volume 1, 18.2.3).
struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t num_rows[16] = {};
};
static_assert(sizeof(TileConfiguration) == 64);

// 32 rows by one panel: tiles 0 to 3 are sums, 4 and 5 rows of a, 6 and 7 columns of b.
FASTKV_INLINE void TileBlock(const GemmPairsArgs& args, int64_t row, int64_t panel) {
  const uint16_t* a = args.a + row * args.a_stride;
  const uint32_t* b = args.b_panels + panel * args.b_panel_stride;
  float* c = args.c + row * args.c_stride + panel * kPanelWidth;
  const int64_t a_bytes = args.a_stride * int64_t{sizeof(uint16_t)};
  const int64_t b_bytes = kPanelWidth * int64_t{sizeof(uint32_t)};
  const int64_t c_bytes = args.c_stride * int64_t{sizeof(float)};
  float* const c_below = c + kTile * args.c_stride;
  if (args.accumulate) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + kTile, c_bytes);
    _tile_loadd(2, c_below, c_bytes);
    _tile_loadd(3, c_below + kTile, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < args.depth; k += kPairDepth) {
    const uint32_t* b_rows = b + k / 2 * kPanelWidth;
    _tile_loadd(4, a + k, a_bytes);
    _tile_loadd(6, b_rows, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b_rows + kTile, b_bytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + kTile * args.a_stride + k, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + kTile, c_bytes);
  _tile_stored(2, c_below, c_bytes);
  _tile_stored(3, c_below + kTile, c_bytes);
}

// Holds the tile registers set up, which takes as long as a small product.
class TileProducts {
 public:
  TileProducts() {
    TileConfiguration configuration;
    for (int i = 0; i < 8; ++i) {
      configuration.row_bytes[i] = 64;
      configuration.num_rows[i] = kTile;
    }
    _tile_loadconfig(&configuration);
  }
  ~TileProducts() { _tile_release(); }
  TileProducts(const TileProducts&) = delete;
  TileProducts& operator=(const TileProducts&) = delete;

  void Multiply(const GemmPairsArgs& args) const {
    for (int64_t panel = 0; panel < args.num_panels; ++panel) {
      for (int64_t row = 0; row < args.num_rows; row += kPairRows) TileBlock(args, row, panel);
    }
  }
  static FASTKV_INLINE Simd::I Round(Simd::F first, Simd::F second) {
    return RoundToPairs(first, second);
  }
};

void GemmPairs(const GemmPairsArgs& args) { TileProducts().Multiply(args); }

}  // namespace

const Kernels kAmxKernels = MakePairKernels<TileProducts>(CpuLevel::kAmx, GemmPairs);

}  // namespace fastkv::cpu
