// Exponents of every entry and query head first, then each head's softmax, then the mean over the
// heads of a group. As many query heads at once as the scratch memory holds exponents of. On tensor
// cores the covariance goes in as two bfloat16 numbers, its first 8 bits and the next 8, because
// rounded to one it would move exponents of 50 by more than their probabilities bear.
#include <cuda_runtime.h>

#include <algorithm>
#include <cfloat>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/row_part.cuh"
#include "backend/cuda/tensor_core.cuh"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kSoftmaxThreads = 1024;

// Query heads are taken `num_heads` at a time, from `first_head` on.
struct KernelParams {
  const void* keys;
  int64_t key_head_stride;
  const void* values;
  int64_t value_head_stride;
  int64_t kv_len;
  int64_t num_sinks;
  const float* mean;
  int64_t mean_stride;
  const float* covariance;
  int64_t covariance_head_stride;
  int64_t covariance_stride;
  float linear_factor;  // both with log2(e) in it
  float quadratic_factor;
  int first_head;
  int num_heads;
  int group_size;
  int head_dim;
  float* exponents;      // [num_heads, kv_len], base 2
  SoftmaxState* states;  // [num_heads]
  float* out;
  int64_t out_stride;

  __device__ const float* Mean(int head) const { return mean + head * mean_stride; }
  __device__ const float* Covariance(int head, int row) const {
    return covariance + head * covariance_head_stride + row * covariance_stride;
  }
};

// ---- Exponents on tensor cores: keys times covariance, 32 columns of it at a time. ----

constexpr int kColumns = 32;

// kDim: the head size, rounded up to what there is a kernel for; the rest is zeros.
template <int kDim>
struct Shape {
  static constexpr int kChunks = kDim / 8;  // 16-byte chunks of a row
  static constexpr int kEntries = kWarps * 16;
  static constexpr int kKeyBytes = kEntries * kDim * 2;
  static constexpr int kPanelBytes = kColumns * kDim * 2;
  static constexpr int kSharedBytes =
      kKeyBytes + 2 * kPanelBytes + kDim * static_cast<int>(sizeof(float));

  // Chunks are permuted within a row so that the eight rows an ldmatrix reads lie in distinct
  // banks.
  static __device__ __forceinline__ uint32_t Offset(int row, int chunk) {
    return static_cast<uint32_t>((row * kChunks + (chunk ^ (row & 7))) * 16);
  }
};

// Grid: (entries, query head).
template <int kDim>
__global__ void __launch_bounds__(kThreads)
    TensorExponentsKernel(const __grid_constant__ KernelParams p) {
  using S = Shape<kDim>;
  extern __shared__ __align__(128) unsigned char shared[];
  unsigned char* const high = shared + S::kKeyBytes;
  unsigned char* const low = high + S::kPanelBytes;
  auto* const mean = reinterpret_cast<float*>(low + S::kPanelBytes);
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int group = lane / 4;
  const int pair = lane % 4 * 2;
  const int head = p.first_head + blockIdx.y;
  const int64_t first_entry = blockIdx.x * int64_t{S::kEntries};
  const BF16* keys = static_cast<const BF16*>(p.keys) + head / p.group_size * p.key_head_stride;

  for (int i = threadIdx.x; i < S::kEntries * S::kChunks; i += kThreads) {
    const int r = i / S::kChunks;
    const int chunk = i % S::kChunks;
    const bool valid = first_entry + r < p.kv_len && chunk * 8 < p.head_dim;
    const BF16* from = keys + (first_entry + r) * p.head_dim + chunk * 8;
    CopyAsync16(SharedAddress(shared) + S::Offset(r, chunk), valid ? from : keys, valid);
  }
  CommitCopies();
  for (int c = threadIdx.x; c < kDim; c += kThreads) {
    mean[c] = c < p.head_dim ? p.Mean(head)[c] * p.linear_factor : 0.0f;
  }
  WaitForCopies<0>();
  __syncthreads();
  uint32_t key[kDim / 16][4];
#pragma unroll
  for (int step = 0; step < kDim / 16; ++step) {
    LoadMatrices(key[step],
                 SharedAddress(shared) + S::Offset(warp * 16 + lane % 16, step * 2 + lane / 16));
  }

  float exponent[2] = {};  // of entries group and group + 8 of the warp's 16
  for (int first = 0; first < p.head_dim; first += kColumns) {
    // The covariance is symmetric, so its rows serve as the columns that the product needs.
    for (int i = threadIdx.x; i < kColumns * S::kChunks; i += kThreads) {
      const int r = i / S::kChunks;
      const int chunk = i % S::kChunks;
      Pack<float, 4> numbers[2] = {};
      if (first + r < p.head_dim && chunk * 8 < p.head_dim) {
        const auto* from =
            reinterpret_cast<const Pack<float, 4>*>(p.Covariance(head, first + r) + chunk * 8);
        numbers[0] = from[0];
        numbers[1] = from[1];
      }
      Pack<BF16, 8> first_bits;
      Pack<BF16, 8> next_bits;
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float number = numbers[k / 4].values[k % 4];
        first_bits.values[k] = FromFloat<BF16>(number);
        next_bits.values[k] = FromFloat<BF16>(number - ToFloat(first_bits.values[k]));
      }
      *reinterpret_cast<Pack<BF16, 8>*>(high + S::Offset(r, chunk)) = first_bits;
      *reinterpret_cast<Pack<BF16, 8>*>(low + S::Offset(r, chunk)) = next_bits;
    }
    __syncthreads();
    float products[kColumns / 8][4] = {};
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) {
#pragma unroll
      for (int n = 0; n < kColumns / 8; n += 2) {
        const uint32_t offset =
            S::Offset(n * 8 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2);
        const auto add = [&](const unsigned char* panel) {
          uint32_t column[4];
          LoadMatrices(column, SharedAddress(panel) + offset);
          MultiplyAdd(products[n], key[step][0], key[step][1], key[step][2], key[step][3],
                      column[0], column[1]);
          MultiplyAdd(products[n + 1], key[step][0], key[step][1], key[step][2], key[step][3],
                      column[2], column[3]);
        };
        add(high);
        add(low);
      }
    }
#pragma unroll
    for (int n = 0; n < kColumns / 8; ++n) {
      const int c = first + n * 8;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const auto own = *reinterpret_cast<const Pack<BF16, 2>*>(
            shared + S::Offset(warp * 16 + group + 8 * j, c / 8) + pair * sizeof(BF16));
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const float gradient = mean[c + pair + k] + p.quadratic_factor * products[n][2 * j + k];
          exponent[j] += ToFloat(own.values[k]) * gradient;
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    exponent[j] += __shfl_xor_sync(kFullMask, exponent[j], 1);
    exponent[j] += __shfl_xor_sync(kFullMask, exponent[j], 2);
    const int64_t entry = first_entry + warp * 16 + group + 8 * j;
    if (pair == 0 && entry < p.kv_len) p.exponents[blockIdx.y * p.kv_len + entry] = exponent[j];
  }
}

// ---- Exponents by plain multiply-adds: float32, and head sizes or alignments that the kernel
// above does not take. ----

constexpr int kPlainEntries = 4;  // of a warp

// Grid: (entries, query head). A lane owns the columns lane, lane + 32, ... of the covariance.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    PlainExponentsKernel(const __grid_constant__ KernelParams p) {
  __shared__ float keys[kWarps][kPlainEntries][kMaxHeadDim];
  const int warp = threadIdx.x / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  const int head = p.first_head + blockIdx.y;
  const int64_t first_entry = (blockIdx.x * int64_t{kWarps} + warp) * kPlainEntries;
  const T* from = static_cast<const T*>(p.keys) + head / p.group_size * p.key_head_stride;
  for (int e = 0; e < kPlainEntries; ++e) {
    const int64_t entry = min(first_entry + e, p.kv_len - 1);
    for (int c = lane; c < p.head_dim; c += kWarpSize) {
      keys[warp][e][c] = ToFloat(from[entry * p.head_dim + c]);
    }
  }
  __syncwarp();
  float exponent[kPlainEntries] = {};
  for (int column = lane; column < p.head_dim; column += kWarpSize) {
    float products[kPlainEntries] = {};
    for (int c = 0; c < p.head_dim; ++c) {
      const float covariance = p.Covariance(head, c)[column];
#pragma unroll
      for (int e = 0; e < kPlainEntries; ++e) products[e] += covariance * keys[warp][e][c];
    }
    const float linear = p.Mean(head)[column] * p.linear_factor;
#pragma unroll
    for (int e = 0; e < kPlainEntries; ++e) {
      exponent[e] += keys[warp][e][column] * (linear + p.quadratic_factor * products[e]);
    }
  }
#pragma unroll
  for (int e = 0; e < kPlainEntries; ++e) {
    const float total = WarpSum(exponent[e]);
    if (lane == 0 && first_entry + e < p.kv_len) {
      p.exponents[blockIdx.y * p.kv_len + first_entry + e] = total;
    }
  }
}

// ---- Softmax and mean. ----

// A block a query head.
__global__ void __launch_bounds__(kSoftmaxThreads)
    SoftmaxStatesKernel(const __grid_constant__ KernelParams p) {
  __shared__ float shared_largest[kSoftmaxThreads / kWarpSize];
  __shared__ float shared_sum[kSoftmaxThreads / kWarpSize];
  const float* exponents = p.exponents + blockIdx.x * p.kv_len;
  float largest = -INFINITY;
#pragma unroll 4
  for (int64_t j = p.num_sinks + threadIdx.x; j < p.kv_len; j += kSoftmaxThreads) {
    largest = fmaxf(largest, exponents[j]);
  }
  largest = WarpMax(largest);
  if (threadIdx.x % kWarpSize == 0) shared_largest[threadIdx.x / kWarpSize] = largest;
  __syncthreads();
  largest = WarpMax(shared_largest[threadIdx.x % kWarpSize]);
  float sum = 0;
#pragma unroll 4
  for (int64_t j = p.num_sinks + threadIdx.x; j < p.kv_len; j += kSoftmaxThreads) {
    sum += Exp2(exponents[j] - largest);
  }
  sum = BlockSum<kSoftmaxThreads>(sum, shared_sum);
  if (threadIdx.x == 0) p.states[blockIdx.x] = {largest, sum};
}

// Grid: (entries, KV head among those that the query heads touch). A warp finds the norms of 32
// values one after the other, then each lane has an entry. Adds where a head of the group came
// before.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    ExpectedScoresKernel(const __grid_constant__ KernelParams p) {
  const int lane = threadIdx.x % kWarpSize;
  const int kv_head = p.first_head / p.group_size + blockIdx.y;
  const int first_head = max(p.first_head, kv_head * p.group_size);
  const int end_head = min(p.first_head + p.num_heads, (kv_head + 1) * p.group_size);
  const int64_t first_entry = blockIdx.x * int64_t{kThreads} + threadIdx.x / kWarpSize * kWarpSize;
  const T* values = static_cast<const T*>(p.values) + kv_head * p.value_head_stride;
  float norm = 0;
  for (int i = 0; i < kWarpSize && first_entry + i < p.kv_len; ++i) {
    float value[kRowValues];
    LoadRowPart<kWidth>(values + (first_entry + i) * p.head_dim, p.head_dim, lane, value);
    const float entry_norm = sqrtf(SumOfSquares(value));
    if (lane == i) norm = entry_norm;
  }
  const int64_t entry = first_entry + lane;
  if (entry >= p.kv_len) return;
  float* out = p.out + kv_head * p.out_stride + entry;
  if (entry < p.num_sinks) {
    *out = FLT_MAX;
    return;
  }
  float sum = 0;
  for (int h = first_head; h < end_head; ++h) {
    const SoftmaxState state = p.states[h - p.first_head];
    const float exponent = p.exponents[(h - p.first_head) * p.kv_len + entry];
    sum += Exp2(exponent - state.largest) / state.sum;
  }
  const float score = sum / static_cast<float>(p.group_size) * norm;
  *out = first_head == kv_head * p.group_size ? score : *out + score;
}

template <int kDim>
void LaunchTensorExponents(const Context& context, const KernelParams& p) {
  using S = Shape<kDim>;
  const auto kernel = TensorExponentsKernel<kDim>;
  FASTKV_CUDA_CHECK(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kSharedBytes));
  const dim3 grid(GridX(CeilDivide(p.kv_len, S::kEntries)), static_cast<unsigned>(p.num_heads));
  kernel<<<grid, kThreads, S::kSharedBytes, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("TensorExponentsKernel");
}

bool FitsTensorCores(const Context& context, const ExpectedAttentionScoresParams& params) {
  return context.type == DType::kBF16 && params.keys.dim(2) % 8 == 0 &&
         params.keys.stride(0) % 8 == 0 && IsAligned(params.keys.data(), 16) &&
         params.covariance.stride(0) % 4 == 0 && params.covariance.stride(1) % 4 == 0 &&
         IsAligned(params.covariance.data(), 16) &&
         Shape<kMaxHeadDim>::kSharedBytes <= context.max_shared_bytes;
}

template <typename T>
void LaunchHeads(const Context& context, const KernelParams& p, bool tensor_cores,
                 bool wide_values) {
  const auto heads = static_cast<unsigned>(p.num_heads);
  if (!tensor_cores) {
    const dim3 grid(GridX(CeilDivide(p.kv_len, kWarps * kPlainEntries)), heads);
    PlainExponentsKernel<T><<<grid, kThreads, 0, context.stream>>>(p);
    FASTKV_CHECK_LAUNCH("PlainExponentsKernel");
  } else if (p.head_dim <= 64) {
    LaunchTensorExponents<64>(context, p);
  } else if (p.head_dim <= 128) {
    LaunchTensorExponents<128>(context, p);
  } else {
    LaunchTensorExponents<256>(context, p);
  }
  SoftmaxStatesKernel<<<heads, kSoftmaxThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("SoftmaxStatesKernel");
  const int64_t num_kv_heads =
      CeilDivide(p.first_head + p.num_heads, p.group_size) - p.first_head / p.group_size;
  const dim3 grid(GridX(CeilDivide(p.kv_len, kThreads)), static_cast<unsigned>(num_kv_heads));
  const auto kernel = wide_values ? ExpectedScoresKernel<T, kRowWidth> : ExpectedScoresKernel<T, 1>;
  kernel<<<grid, kThreads, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("ExpectedScoresKernel");
}

}  // namespace

void ExpectedAttentionScores(const Context& context, const ExpectedAttentionScoresParams& params) {
  const int64_t num_q_heads = params.mean.dim(0);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t head_dim = params.keys.dim(2);
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.values.dtype() == context.type);
  FASTKV_CHECK(params.mean.dtype() == DType::kF32);
  FASTKV_CHECK(params.covariance.dtype() == DType::kF32);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_LE(0, params.num_sinks);
  FASTKV_CHECK_LE(head_dim, kMaxHeadDim);
  FASTKV_CHECK_LE(num_q_heads, kMaxGridY);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.keys.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.values.stride(1), head_dim);
  FASTKV_CHECK_EQ(params.values.dim(1), kv_len);
  FASTKV_CHECK_EQ(params.mean.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.covariance.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.covariance.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.covariance.dim(2), head_dim);
  FASTKV_CHECK_EQ(params.out.dim(0), num_kv_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), kv_len);
  if (num_q_heads * kv_len == 0) return;
  KernelParams p = {};
  p.keys = params.keys.data();
  p.key_head_stride = params.keys.stride(0);
  p.values = params.values.data();
  p.value_head_stride = params.values.stride(0);
  p.kv_len = kv_len;
  p.num_sinks = std::min(params.num_sinks, kv_len);
  p.mean = params.mean.As<float>();
  p.mean_stride = params.mean.stride(0);
  p.covariance = params.covariance.As<float>();
  p.covariance_head_stride = params.covariance.stride(0);
  p.covariance_stride = params.covariance.stride(1);
  p.linear_factor = params.scale * kLog2E;
  p.quadratic_factor = params.scale * params.scale / 2 * kLog2E;
  p.group_size = static_cast<int>(num_q_heads / num_kv_heads);
  p.head_dim = static_cast<int>(head_dim);
  p.states = reinterpret_cast<SoftmaxState*>(context.scratch);
  p.exponents = reinterpret_cast<float*>(p.states + num_q_heads);
  p.out = params.out.As<float>();
  p.out_stride = params.out.stride(0);

  const int64_t state_bytes = num_q_heads * int64_t{sizeof(SoftmaxState)};
  int64_t most_heads = std::min(
      num_q_heads, (context.scratch_bytes - state_bytes) / (kv_len * int64_t{sizeof(float)}));
  FASTKV_CHECK_LE(1, most_heads);
  // Whole groups, where one fits: values are then read once.
  if (most_heads > p.group_size) most_heads = most_heads / p.group_size * p.group_size;
  const bool tensor_cores = FitsTensorCores(context, params);
  const bool wide_values = RowsAreWide(params.values);
  for (int64_t first = 0; first < num_q_heads; first += most_heads) {
    p.first_head = static_cast<int>(first);
    p.num_heads = static_cast<int>(std::min(most_heads, num_q_heads - first));
    if (context.type == DType::kBF16) {
      LaunchHeads<BF16>(context, p, tensor_cores, wide_values);
    } else {
      LaunchHeads<float>(context, p, tensor_cores, wide_values);
    }
  }
}

}  // namespace fastkv::cuda
