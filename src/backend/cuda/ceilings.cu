#include "backend/cuda/ceilings.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "backend/cuda/attention.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "base/clock.h"
#include "tensor/buffer.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int64_t kProductSize = 8192;
constexpr int64_t kLargestRead = int64_t{4} << 30;
constexpr int64_t kSmallestRead = int64_t{256} << 20;  // several times any second-level cache
constexpr double kBatchMs = 20;
// Copies and attention, by which nothing is judged, take this part of the time.
constexpr double kExtraShare = 4;

// Bell-shaped numbers: a product of zeros would draw less power and clock higher than a real one.
template <typename T>
__global__ void __launch_bounds__(kThreads) FillRandom(T* to, int64_t count, uint64_t seed) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads) {
    uint64_t word = (static_cast<uint64_t>(i) + seed) * 0x9e3779b97f4a7c15ull;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ull;
    word ^= word >> 27;
    int sum = 0;
#pragma unroll
    for (int byte = 0; byte < 4; ++byte) sum += static_cast<int>((word >> (8 * byte)) & 0xff);
    to[i] = FromFloat<T>(static_cast<float>(sum - 510) * (1.0f / 147.8f));
  }
}

// Reads everything; writes only for one value that random memory does not have.
__global__ void __launch_bounds__(kThreads)
    ReadKernel(const uint4* from, int64_t count, uint32_t* out) {
  constexpr int kUnroll = 4;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  uint32_t mixed = 0;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += kUnroll * stride) {
#pragma unroll
    for (int k = 0; k < kUnroll; ++k) {
      if (i + k * stride < count) {
        const uint4 v = __ldcs(from + i + k * stride);
        mixed ^= v.x ^ v.y ^ v.z ^ v.w;
      }
    }
  }
  if (mixed == 0x12345678u) *out = mixed;
}

class Stopwatch {
 public:
  explicit Stopwatch(cudaStream_t stream) : stream_(stream) {
    FASTKV_CUDA_CHECK(cudaEventCreate(&begin_));
    FASTKV_CUDA_CHECK(cudaEventCreate(&end_));
  }
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // Seconds of one `run`: the median of batches that fill `duration_ms`, at least one.
  Result<double> Seconds(double duration_ms, const std::function<void()>& run) {
    run();
    FASTKV_ASSIGN_OR_RETURN(const double once_ms, BatchMs(1, run));
    const auto count = std::max<int64_t>(
        1, static_cast<int64_t>(std::min(kBatchMs, duration_ms) / std::max(once_ms, 1e-3)));
    std::vector<double> batches_ms;
    double total_ms = 0;
    do {
      FASTKV_ASSIGN_OR_RETURN(const double ms, BatchMs(count, run));
      batches_ms.push_back(ms / static_cast<double>(count));
      total_ms += ms;
    } while (total_ms < duration_ms);
    const auto middle = batches_ms.begin() + static_cast<int64_t>(batches_ms.size() / 2);
    std::nth_element(batches_ms.begin(), middle, batches_ms.end());
    return std::max(*middle, 1e-6) / 1e3;
  }

 private:
  Result<double> BatchMs(int64_t count, const std::function<void()>& run) {
    FASTKV_CUDA_CHECK(cudaEventRecord(begin_, stream_));
    for (int64_t i = 0; i < count; ++i) run();
    FASTKV_CUDA_CHECK(cudaEventRecord(end_, stream_));
    FASTKV_RETURN_IF_CUDA_ERROR(cudaEventSynchronize(end_), "measuring the CUDA device");
    float ms = 0;
    FASTKV_RETURN_IF_CUDA_ERROR(cudaEventElapsedTime(&ms, begin_, end_),
                                "measuring the CUDA device");
    return static_cast<double>(ms);
  }

  cudaStream_t stream_;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

Result<Buffer> RandomBuffer(const Context& context, Allocator& allocator, int64_t count,
                            uint64_t seed) {
  FASTKV_ASSIGN_OR_RETURN(
      Buffer buffer, Buffer::Allocate(allocator, count * DTypeBytes(context.type), "a ceiling"));
  const unsigned grid = GridFor(count, kThreads, context.num_multiprocessors);
  if (context.type == DType::kBF16) {
    FillRandom<<<grid, kThreads, 0, context.stream>>>(static_cast<BF16*>(buffer.data()), count,
                                                      seed << 40);
  } else {
    FillRandom<<<grid, kThreads, 0, context.stream>>>(static_cast<float*>(buffer.data()), count,
                                                      seed << 40);
  }
  FASTKV_CHECK_LAUNCH("FillRandom");
  return Result<Buffer>(std::move(buffer));
}

Result<double> MatrixFlopsPerSecond(const Context& context, Allocator& allocator,
                                    MatMulEngine& mat_mul, double duration_ms) {
  constexpr int64_t kCount = kProductSize * kProductSize;
  FASTKV_ASSIGN_OR_RETURN(const Buffer x, RandomBuffer(context, allocator, kCount, 1));
  FASTKV_ASSIGN_OR_RETURN(const Buffer weight, RandomBuffer(context, allocator, kCount, 2));
  FASTKV_ASSIGN_OR_RETURN(
      const Buffer out,
      Buffer::Allocate(allocator, kCount * DTypeBytes(context.type), "a ceiling"));
  const auto matrix = [&](const Buffer& buffer) {
    return buffer.View(context.type, {kProductSize, kProductSize});
  };
  MatMulArguments product;
  product.x = matrix(x);
  product.weight = matrix(weight);
  product.out = matrix(out);
  Stopwatch stopwatch(context.stream);
  FASTKV_ASSIGN_OR_RETURN(const double seconds, stopwatch.Seconds(duration_ms, [&] {
    mat_mul.RunLibrary(context, product);
  }));
  return 2.0 * static_cast<double>(kCount) * static_cast<double>(kProductSize) / seconds;
}

// The largest buffer that the device has memory for, from kLargestRead down.
Result<Buffer> ReadBuffer(Allocator& allocator) {
  for (int64_t num_bytes = kLargestRead;; num_bytes /= 2) {
    Result<Buffer> buffer = Buffer::Allocate(allocator, num_bytes, "a read ceiling");
    if (buffer.ok() || num_bytes / 2 < kSmallestRead) return buffer;
  }
}

Status MeasureMemory(const Context& context, Allocator& allocator, double duration_ms,
                     DeviceCeilings* ceilings) {
  FASTKV_ASSIGN_OR_RETURN(const Buffer buffer, ReadBuffer(allocator));
  FASTKV_ASSIGN_OR_RETURN(const Buffer sink, Buffer::Allocate(allocator, 64, "a read ceiling"));
  const int64_t num_bytes = buffer.num_bytes();
  FASTKV_CUDA_CHECK(
      cudaMemsetAsync(buffer.data(), 1, static_cast<size_t>(num_bytes), context.stream));
  Stopwatch stopwatch(context.stream);
  const int64_t num_vectors = num_bytes / int64_t{sizeof(uint4)};
  const unsigned grid = GridFor(num_vectors, kThreads, context.num_multiprocessors);
  FASTKV_ASSIGN_OR_RETURN(const double read_seconds, stopwatch.Seconds(duration_ms, [&] {
    ReadKernel<<<grid, kThreads, 0, context.stream>>>(
        static_cast<const uint4*>(buffer.data()), num_vectors, static_cast<uint32_t*>(sink.data()));
    FASTKV_CHECK_LAUNCH("ReadKernel");
  }));
  const int64_t half = num_bytes / 2;
  FASTKV_ASSIGN_OR_RETURN(
      const double copy_seconds, stopwatch.Seconds(duration_ms / kExtraShare, [&] {
        FASTKV_CUDA_CHECK(cudaMemcpyAsync(static_cast<std::byte*>(buffer.data()) + half,
                                          buffer.data(), static_cast<size_t>(half),
                                          cudaMemcpyDeviceToDevice, context.stream));
      }));
  ceilings->read_bytes_per_s = static_cast<double>(num_bytes) / read_seconds;
  ceilings->copy_bytes_per_s = 2.0 * static_cast<double>(half) / copy_seconds;
  return OkStatus();
}

Result<double> AttentionFlopsPerSecond(const Context& context, Allocator& allocator,
                                       CudnnAttention* cudnn, double duration_ms) {
  constexpr int64_t kRows = 8192;
  constexpr int64_t kQHeads = 32;
  constexpr int64_t kKvHeads = 8;
  constexpr int64_t kHeadDim = 128;
  FASTKV_ASSIGN_OR_RETURN(const Buffer q,
                          RandomBuffer(context, allocator, kRows * kQHeads * kHeadDim, 3));
  FASTKV_ASSIGN_OR_RETURN(const Buffer keys,
                          RandomBuffer(context, allocator, kRows * kKvHeads * kHeadDim, 4));
  FASTKV_ASSIGN_OR_RETURN(const Buffer values,
                          RandomBuffer(context, allocator, kRows * kKvHeads * kHeadDim, 5));
  FASTKV_ASSIGN_OR_RETURN(const Buffer out,
                          Buffer::Allocate(allocator, q.num_bytes(), "an attention ceiling"));
  PrefillAttentionParams params;
  params.q = q.View(context.type, {kRows, kQHeads, kHeadDim});
  params.keys = keys.View(context.type, {kKvHeads, kRows, kHeadDim});
  params.values = values.View(context.type, {kKvHeads, kRows, kHeadDim});
  params.scale = 1 / std::sqrt(static_cast<float>(kHeadDim));
  params.out = out.View(context.type, {kRows, kQHeads * kHeadDim});
  Stopwatch stopwatch(context.stream);
  FASTKV_ASSIGN_OR_RETURN(const double seconds, stopwatch.Seconds(duration_ms, [&] {
    PrefillAttention(context, cudnn, params);
  }));
  const auto pairs = static_cast<double>(kRows) * static_cast<double>(kRows) / 2;
  return 4.0 * static_cast<double>(kQHeads * kHeadDim) * pairs / seconds;
}

}  // namespace

Result<DeviceCeilings> MeasureCeilings(const Context& context, Allocator& allocator,
                                       MatMulEngine& mat_mul, CudnnAttention* cudnn,
                                       double duration_ms) {
  DeviceCeilings ceilings;
  ceilings.matrix_type = context.type;
  FASTKV_ASSIGN_OR_RETURN(ceilings.matrix_flops_per_s,
                          MatrixFlopsPerSecond(context, allocator, mat_mul, duration_ms));
  FASTKV_RETURN_IF_ERROR(MeasureMemory(context, allocator, duration_ms, &ceilings));
  FASTKV_ASSIGN_OR_RETURN(
      ceilings.attention_flops_per_s,
      AttentionFlopsPerSecond(context, allocator, cudnn, duration_ms / kExtraShare));
  return ceilings;
}

}  // namespace fastkv::cuda
