// Products with few rows of x: bound by reading the weight once. A block owns 16 output features
// and its warps take turns along the input features; the tensor cores multiply 16 features by 8
// rows of x at once, so up to 8 rows cost what one does.
#include <cuda_runtime.h>

#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/launch_early.cuh"
#include "backend/cuda/mat_mul.h"
#include "backend/cuda/tensor_core.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kFeatureTile = 16;   // output features of one instruction
constexpr int kRowTile = 8;        // rows of x of one instruction
constexpr int kChunk = 32;         // input features a warp takes at a time
constexpr int kLoadsInFlight = 8;  // of 16 bytes of the weight, by a lane

struct KernelParams {
  const BF16* x;
  int64_t x_stride;
  const BF16* weight;
  const float* bias;  // or null
  void* out;
  int64_t out_stride;
  int64_t out_features;
  int64_t in_features;
  int num_rows;
  bool accumulate;
};

// Lane 4 g + t holds components 8 t .. 8 t + 7 of a chunk, of features g and g + 8 and of x's row
// g: the instruction's order of components does not matter as long as both operands share it.
template <int kRowTiles, int kFeatureTiles, typename Out>
__global__ void __launch_bounds__(kThreads) MatVecKernel(const __grid_constant__ KernelParams p) {
  constexpr int kFeatures = kFeatureTiles * kFeatureTile;
  constexpr int kUnrolled = kLoadsInFlight / (2 * kFeatureTiles);
  extern __shared__ float sums[];  // [warp][row][feature], rows padded by one
  constexpr int kSumStride = kFeatures + 1;
  constexpr int kWarpSums = kRowTiles * kRowTile * kSumStride;
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / 4;
  const int quarter = lane % 4;
  const int64_t first_feature = blockIdx.x * int64_t{kFeatures};
  const int64_t last = p.out_features - 1;
  const BF16* weight[kFeatureTiles][2];
#pragma unroll
  for (int f = 0; f < kFeatureTiles; ++f) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int64_t feature = first_feature + f * kFeatureTile + group + 8 * j;
      weight[f][j] = p.weight + min(feature, last) * p.in_features + quarter * 8;
    }
  }
  const BF16* x = p.x + quarter * 8;

  const int64_t num_chunks = p.in_features / kChunk;
  uint4 w[kUnrolled][kFeatureTiles][2];
  const auto load_weight = [&](int64_t base) {
#pragma unroll
    for (int u = 0; u < kUnrolled; ++u) {
      const int64_t chunk = base + u * kWarps;
      if (chunk >= num_chunks) break;
#pragma unroll
      for (int f = 0; f < kFeatureTiles; ++f) {
        w[u][f][0] = LoadStreaming(weight[f][0] + chunk * kChunk);
        w[u][f][1] = LoadStreaming(weight[f][1] + chunk * kChunk);
      }
    }
  };
  // The first part of the weight is on its way while the kernel before this one finishes.
  AdmitNextKernel();
  load_weight(warp);
  AwaitEarlierKernels();

  float acc[kFeatureTiles][kRowTiles][4] = {};
  for (int64_t base = warp; base < num_chunks; base += kWarps * kUnrolled) {
    if (base != warp) load_weight(base);
#pragma unroll
    for (int u = 0; u < kUnrolled; ++u) {
      const int64_t chunk = base + u * kWarps;
      if (chunk >= num_chunks) break;
#pragma unroll
      for (int tile = 0; tile < kRowTiles; ++tile) {
        const int row = tile * kRowTile + group;
        uint4 v = {};
        if (row < p.num_rows) {
          v = __ldg(reinterpret_cast<const uint4*>(x + row * p.x_stride + chunk * kChunk));
        }
#pragma unroll
        for (int f = 0; f < kFeatureTiles; ++f) {
          const uint4 a = w[u][f][0];
          const uint4 b = w[u][f][1];
          MultiplyAdd(acc[f][tile], a.x, b.x, a.y, b.y, v.x, v.y);
          MultiplyAdd(acc[f][tile], a.z, b.z, a.w, b.w, v.z, v.w);
        }
      }
    }
  }
#pragma unroll
  for (int f = 0; f < kFeatureTiles; ++f) {
#pragma unroll
    for (int tile = 0; tile < kRowTiles; ++tile) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int row = tile * kRowTile + 2 * quarter + c % 2;
        const int feature = f * kFeatureTile + group + c / 2 * 8;
        sums[warp * kWarpSums + row * kSumStride + feature] = acc[f][tile][c];
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < p.num_rows * kFeatures; i += kThreads) {
    const int row = i / kFeatures;
    const int64_t feature = first_feature + i % kFeatures;
    if (feature > last) continue;
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      sum += sums[w * kWarpSums + row * kSumStride + i % kFeatures];
    }
    if (p.bias != nullptr) sum += p.bias[feature];
    Out* to = static_cast<Out*>(p.out) + row * p.out_stride + feature;
    if (p.accumulate) sum += ToFloat(*to);
    *to = FromFloat<Out>(sum);
  }
}

template <int kRowTiles, int kFeatureTiles, typename Out>
void LaunchTiles(const Context& context, const KernelParams& p) {
  constexpr int kFeatures = kFeatureTiles * kFeatureTile;
  constexpr int kSharedBytes =
      kWarps * kRowTiles * kRowTile * (kFeatures + 1) * static_cast<int>(sizeof(float));
  const auto kernel = MatVecKernel<kRowTiles, kFeatureTiles, Out>;
  FASTKV_CUDA_CHECK(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes));
  LaunchEarly(context, "MatVecKernel", kernel, GridX(CeilDivide(p.out_features, kFeatures)),
              kThreads, kSharedBytes, p);
}

template <typename Out>
void Launch(const Context& context, const KernelParams& p) {
  if (p.num_rows <= 8) {
    LaunchTiles<1, 1, Out>(context, p);
  } else if (p.num_rows <= 16) {
    LaunchTiles<2, 2, Out>(context, p);
  } else if (p.num_rows <= 32) {
    LaunchTiles<4, 2, Out>(context, p);
  } else {
    LaunchTiles<8, 2, Out>(context, p);
  }
}

}  // namespace

bool MatVecFits(const Context& context, const MatMulArguments& arguments) {
  return context.type == DType::kBF16 && arguments.x.dim(0) <= kMaxMatVecRows &&
         arguments.weight.dim(1) % kChunk == 0 && arguments.x.stride(0) % 8 == 0 &&
         IsAligned(arguments.x.data(), 16) && IsAligned(arguments.weight.data(), 16);
}

void MatVec(const Context& context, const MatMulArguments& arguments) {
  KernelParams p = {};
  p.x = arguments.x.As<BF16>();
  p.x_stride = arguments.x.stride(0);
  p.weight = arguments.weight.As<BF16>();
  p.bias = arguments.bias.empty() ? nullptr : arguments.bias.As<float>();
  p.out = arguments.out.data();
  p.out_stride = arguments.out.stride(0);
  p.out_features = arguments.weight.dim(0);
  p.in_features = arguments.weight.dim(1);
  p.num_rows = static_cast<int>(arguments.x.dim(0));
  p.accumulate = arguments.accumulate;
  if (arguments.out.dtype() == DType::kBF16) {
    Launch<BF16>(context, p);
  } else {
    Launch<float>(context, p);
  }
}

}  // namespace fastkv::cuda
