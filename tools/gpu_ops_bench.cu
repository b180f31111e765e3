// Measures the operations of the CUDA back end at the sizes of an 8-billion-parameter model (hidden
// 4096, 32 query and 8 KV heads of 128, MLP 14336), beside what the device reaches at most, and
// writes JSON: gpu_ops_bench FILE. Inputs are random; what fits in the second-level cache is
// rotated among copies.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "backend/cuda/attention.h"
#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/cudnn_attention.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/mat_mul_engine.h"
#include "base/clock.h"

namespace fastkv::cuda {
namespace {

constexpr int64_t kHidden = 4096;
constexpr int64_t kFfn = 14336;
constexpr int64_t kQHeads = 32;
constexpr int64_t kKvHeads = 8;
constexpr int64_t kDim = 128;
constexpr int64_t kGiB = int64_t{1} << 30;

__device__ float RandomNormal(uint64_t i) {
  uint64_t x = i * 0x9e3779b97f4a7c15ull + 0x1234567ull;
  float sum = 0;
  for (int k = 0; k < 4; ++k) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    sum += static_cast<float>(x >> 40) * 0x1p-24f - 0.5f;
  }
  return sum * 1.7320508f;  // four uniform numbers have variance 1/3
}

template <typename T>
__global__ void FillNormal(T* to, int64_t count, uint64_t seed, float scale) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * blockDim.x) {
    to[i] = FromFloat<T>(RandomNormal(i + seed) * scale);
  }
}

__global__ void FillAscending(int32_t* to, int64_t count, int32_t step) {
  const int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x;
  if (i < count) to[i] = static_cast<int32_t>(i) * step;
}

__global__ void ReadKernel(const uint4* from, int64_t count, uint32_t* out) {
  uint32_t mixed = 0;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += 4 * stride) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (i + k * stride < count) {
        const uint4 v = __ldcs(from + i + k * stride);
        mixed ^= v.x ^ v.y ^ v.z ^ v.w;
      }
    }
  }
  if (mixed == 0x12345678u) *out = mixed;
}

__global__ void DifferenceKernel(const BF16* a, const BF16* b, int64_t count, float* largest) {
  float most = 0;
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * blockDim.x) {
    const float difference = fabsf(ToFloat(a[i]) - ToFloat(b[i]));
    most = isnan(difference) ? INFINITY : fmaxf(most, difference);
  }
  atomicMax(reinterpret_cast<int*>(largest), __float_as_int(most));
}

class Memory {
 public:
  explicit Memory(int64_t num_bytes) {
    FASTKV_CUDA_CHECK(cudaMalloc(&data_, static_cast<size_t>(num_bytes)));
  }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  template <typename T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
};

class Bench {
 public:
  Bench() : scratch_(96 << 20), counters_(256 << 10) {
    cudaDeviceProp properties;
    FASTKV_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
    device_name_ = properties.name;
    FASTKV_CUDA_CHECK(cudaMemset(counters_.As<void>(), 0, 256 << 10));
    FASTKV_CUDA_CHECK(cudaStreamCreate(&context_.stream));
    context_.num_multiprocessors = properties.multiProcessorCount;
    context_.max_shared_bytes = static_cast<int>(properties.sharedMemPerBlockOptin);
    context_.type = DType::kBF16;
    context_.scratch = scratch_.As<std::byte>();
    context_.scratch_bytes = 96 << 20;
    context_.counters = counters_.As<uint32_t>();
    context_.num_counters = 64 << 10;
    FASTKV_CUDA_CHECK(cudaEventCreate(&begin_));
    FASTKV_CUDA_CHECK(cudaEventCreate(&end_));
  }

  const Context& context() const { return context_; }
  const std::string& device_name() const { return device_name_; }

  template <typename T>
  void Fill(T* to, int64_t count, uint64_t seed, float scale = 1) {
    FillNormal<<<4096, 256, 0, context_.stream>>>(to, count, seed << 40, scale);
    FASTKV_CHECK_LAUNCH("FillNormal");
  }

  // Milliseconds of one run: the median of batches; `run` gets a counter for rotating inputs. Short
  // runs are captured in a graph, so that the host's launch rate does not show.
  double Milliseconds(const std::function<void(int64_t)>& run) {
    constexpr double kShortMs = 0.5;
    constexpr double kBatchMs = 15;
    int64_t turn = 0;
    const auto enqueue = [&](int64_t count) {
      for (int64_t i = 0; i < count; ++i) run(turn++);
    };
    const auto elapsed_ms = [&](const std::function<void()>& work) {
      FASTKV_CUDA_CHECK(cudaEventRecord(begin_, context_.stream));
      work();
      FASTKV_CUDA_CHECK(cudaEventRecord(end_, context_.stream));
      FASTKV_CUDA_CHECK(cudaEventSynchronize(end_));
      float ms = 0;
      FASTKV_CUDA_CHECK(cudaEventElapsedTime(&ms, begin_, end_));
      return static_cast<double>(ms);
    };
    enqueue(1);
    const double once = elapsed_ms([&] { enqueue(1); });
    const auto count =
        std::clamp<int64_t>(static_cast<int64_t>(kBatchMs / std::max(once, 1e-3)), 1, 200);
    cudaGraphExec_t graph_exec = nullptr;
    if (once < kShortMs) {
      cudaGraph_t graph = nullptr;
      FASTKV_CUDA_CHECK(cudaStreamBeginCapture(context_.stream, cudaStreamCaptureModeThreadLocal));
      enqueue(count);
      FASTKV_CUDA_CHECK(cudaStreamEndCapture(context_.stream, &graph));
      FASTKV_CUDA_CHECK(cudaGraphInstantiate(&graph_exec, graph, 0));
      FASTKV_CUDA_CHECK(cudaGraphDestroy(graph));
      FASTKV_CUDA_CHECK(cudaGraphLaunch(graph_exec, context_.stream));
    }
    std::vector<double> times;
    for (int i = 0; i < 5; ++i) {
      const double ms = elapsed_ms([&] {
        if (graph_exec != nullptr) {
          FASTKV_CUDA_CHECK(cudaGraphLaunch(graph_exec, context_.stream));
        } else {
          enqueue(count);
        }
      });
      times.push_back(ms / static_cast<double>(count));
    }
    if (graph_exec != nullptr) FASTKV_CUDA_CHECK(cudaGraphExecDestroy(graph_exec));
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  // `work` in floating-point operations or bytes; the rate is printed in `unit` (TFLOP/s or GB/s).
  void Report(const std::string& op, const std::string& label, double ms, double work,
              const std::string& unit) {
    const double rate = work / ms * (unit == "TFLOP/s" ? 1e-9 : 1e-6);
    char line[512];
    std::snprintf(line, sizeof(line),
                  "    {\"op\": \"%s\", \"case\": \"%s\", \"ms\": %.5f, \"rate\": %.1f, "
                  "\"unit\": \"%s\"}",
                  op.c_str(), label.c_str(), ms, rate, unit.c_str());
    rows_.emplace_back(line);
    std::printf("%-26s %-44s %10.4f ms %9.1f %s\n", op.c_str(), label.c_str(), ms, rate,
                unit.c_str());
    std::fflush(stdout);
  }

  // False where the file could not be written.
  bool Write(const char* path, const std::string& libraries) const {
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) {
      std::fprintf(stderr, "gpu_ops_bench: cannot write %s\n", path);
      return false;
    }
    int driver = 0;
    int runtime = 0;
    FASTKV_CUDA_CHECK(cudaDriverGetVersion(&driver));
    FASTKV_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
    const auto variable = [](const char* name) {
      const char* value = std::getenv(name);
      return value != nullptr ? value : "";
    };
    std::fprintf(file,
                 "{\n  \"device\": \"%s\",\n  \"driver_cuda\": %d,\n  \"runtime_cuda\": %d,\n"
                 "  \"libraries\": \"%s\",\n  \"commit\": \"%s\",\n"
                 "  \"command\": \"gpu_ops_bench\",\n  \"rows\": [\n",
                 device_name_.c_str(), driver, runtime, libraries.c_str(),
                 variable("FASTKV_COMMIT"));
    for (size_t i = 0; i < rows_.size(); ++i) {
      std::fprintf(file, "%s%s\n", rows_[i].c_str(), i + 1 < rows_.size() ? "," : "");
    }
    std::fprintf(file, "  ]\n}\n");
    return std::fclose(file) == 0;
  }

 private:
  Memory scratch_;
  Memory counters_;
  Context context_;
  std::string device_name_;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
  std::vector<std::string> rows_;
};

std::string Label(const std::string& name, int64_t value) { return name + std::to_string(value); }

void MeasureCeilings(Bench& bench) {
  const int64_t num_bytes = 4 * kGiB;
  const Memory from(num_bytes);
  const Memory to(num_bytes);
  bench.Fill(from.As<float>(), num_bytes / 4, 1);
  const double copy_ms = bench.Milliseconds([&](int64_t) {
    FASTKV_CUDA_CHECK(cudaMemcpyAsync(to.As<void>(), from.As<void>(), num_bytes,
                                      cudaMemcpyDeviceToDevice, bench.context().stream));
  });
  bench.Report("ceiling", "copy 4 GiB, read and written", copy_ms, 2.0 * num_bytes, "GB/s");
  const double read_ms = bench.Milliseconds([&](int64_t) {
    ReadKernel<<<132 * 16, 512, 0, bench.context().stream>>>(from.As<uint4>(), num_bytes / 16,
                                                             to.As<uint32_t>());
    FASTKV_CHECK_LAUNCH("ReadKernel");
  });
  bench.Report("ceiling", "read 4 GiB", read_ms, static_cast<double>(num_bytes), "GB/s");
}

struct Projection {
  const char* name;
  int64_t out_features;
  int64_t in_features;
  bool accumulate;  // then float32 output
};

constexpr Projection kProjections[] = {
    {"qkv", (kQHeads + 2 * kKvHeads) * kDim, kHidden, false},
    {"o", kHidden, kHidden, true},
    {"gate_up", 2 * kFfn, kHidden, false},
    {"down", kHidden, kFfn, true},
};

void MeasureMatMul(Bench& bench, MatMulEngine& engine) {
  const Memory weight(2 * kFfn * kHidden * 2);
  bench.Fill(weight.As<BF16>(), 2 * kFfn * kHidden, 2, 0.02f);
  const int64_t most_tokens = 32768;
  const Memory x(most_tokens * kFfn * 2);
  bench.Fill(x.As<BF16>(), most_tokens * kFfn, 3);
  const Memory out(most_tokens * 2 * kFfn * 2);
  const auto run = [&](const std::string& label, int64_t m, int64_t n, int64_t k, bool accumulate) {
    const DType out_type = accumulate ? DType::kF32 : DType::kBF16;
    const MatMulArguments arguments{
        .x = ConstTensorView(x.As<void>(), DType::kBF16, {m, k}),
        .weight = ConstTensorView(weight.As<void>(), DType::kBF16, {n, k}),
        .bias = {},
        .out = TensorView(out.As<void>(), out_type, {m, n}),
        .accumulate = accumulate};
    const double ms =
        bench.Milliseconds([&](int64_t) { engine.RunLibrary(bench.context(), arguments); });
    bench.Report("MatMul", label, ms, 2.0 * m * n * k, "TFLOP/s");
  };
  run("8192 x 8192 x 8192", 8192, 8192, 8192, false);
  for (int64_t m : {1638, 2048, 8192, 32768}) {
    for (const Projection& p : kProjections) {
      run(std::string(p.name) + Label(" tokens ", m), m, p.out_features, p.in_features,
          p.accumulate);
    }
  }
}

void MeasureMatVec(Bench& bench, MatMulEngine& engine) {
  constexpr int64_t kPoolBytes = 4 * kGiB;
  const Memory pool(kPoolBytes);
  bench.Fill(pool.As<BF16>(), kPoolBytes / 2, 4, 0.02f);
  const Memory x(64 * kFfn * 2);
  bench.Fill(x.As<BF16>(), 64 * kFfn, 5);
  const Memory out(64 * 128256 * 4);
  std::vector<Projection> projections(std::begin(kProjections), std::end(kProjections));
  projections.push_back({"lm_head", 128256, kHidden, true});
  for (const Projection& p : projections) {
    const int64_t weight_bytes = p.out_features * p.in_features * 2;
    const int64_t copies = kPoolBytes / weight_bytes;
    for (int64_t m : {1, 4, 8, 16, 32, 64}) {
      const auto arguments = [&](int64_t turn) {
        auto* weight = pool.As<char>() + turn % copies * weight_bytes;
        return MatMulArguments{
            .x = ConstTensorView(x.As<void>(), DType::kBF16, {m, p.in_features}),
            .weight = ConstTensorView(weight, DType::kBF16, {p.out_features, p.in_features}),
            .bias = {},
            .out = TensorView(out.As<void>(), p.accumulate ? DType::kF32 : DType::kBF16,
                              {m, p.out_features}),
            .accumulate = false};
      };
      const std::string label = std::string(p.name) + Label(" rows ", m);
      const auto bytes = static_cast<double>(weight_bytes);
      bench.Report("MatVec, own", label,
                   bench.Milliseconds([&](int64_t i) { MatVec(bench.context(), arguments(i)); }),
                   bytes, "GB/s");
      bench.Report("MatVec, cuBLASLt", label, bench.Milliseconds([&](int64_t i) {
        engine.RunLibrary(bench.context(), arguments(i));
      }),
                   bytes, "GB/s");
    }
  }
}

PrefillAttentionParams PrefillParams(const Memory& q, const Memory& keys, const Memory& values,
                                     const Memory& out, int64_t q_start, int64_t q_len) {
  PrefillAttentionParams params;
  const int64_t kv_len = q_start + q_len;
  params.q = ConstTensorView(q.As<void>(), DType::kBF16, {q_len, kQHeads, kDim});
  params.keys = ConstTensorView(keys.As<void>(), DType::kBF16, {kKvHeads, kv_len, kDim});
  params.values = ConstTensorView(values.As<void>(), DType::kBF16, {kKvHeads, kv_len, kDim});
  params.q_start = q_start;
  params.scale = 1 / std::sqrt(static_cast<float>(kDim));
  params.out = TensorView(out.As<void>(), DType::kBF16, {q_len, kQHeads * kDim});
  return params;
}

void MeasurePrefill(Bench& bench, CudnnAttention* cudnn) {
  constexpr int64_t kMost = 131072;
  const Memory q(kMost * kQHeads * kDim * 2);
  const Memory keys(kMost * kKvHeads * kDim * 2);
  const Memory values(kMost * kKvHeads * kDim * 2);
  const Memory out(kMost * kQHeads * kDim * 2);
  const Memory other_out(kMost * kQHeads * kDim * 2);
  const Memory largest(4);
  bench.Fill(q.As<BF16>(), kMost * kQHeads * kDim, 6);
  bench.Fill(keys.As<BF16>(), kMost * kKvHeads * kDim, 7);
  bench.Fill(values.As<BF16>(), kMost * kKvHeads * kDim, 8);
  struct Case {
    int64_t q_start;
    int64_t q_len;
  };
  for (const Case& c : {Case{0, 2048}, Case{0, 8192}, Case{0, 8190}, Case{6144, 2048},
                        Case{0, 32768}, Case{0, 131072}}) {
    const auto params = PrefillParams(q, keys, values, out, c.q_start, c.q_len);
    const double flops = 4.0 * kQHeads * kDim * static_cast<double>(c.q_len) *
                         (static_cast<double>(c.q_start) + (static_cast<double>(c.q_len) + 1) / 2);
    const std::string label = Label("rows ", c.q_len) + Label(" from ", c.q_start);
    bench.Report("PrefillAttention, own", label, bench.Milliseconds([&](int64_t) {
      PrefillAttention(bench.context(), nullptr, params);
    }),
                 flops, "TFLOP/s");
    if (cudnn == nullptr) continue;
    const auto other = PrefillParams(q, keys, values, other_out, c.q_start, c.q_len);
    FASTKV_CUDA_CHECK(cudaStreamSynchronize(bench.context().stream));
    const double begin_ms = SystemClock().NowMs();
    const bool taken = cudnn->Run(bench.context(), other);
    FASTKV_CUDA_CHECK(cudaStreamSynchronize(bench.context().stream));
    const double first_ms = SystemClock().NowMs() - begin_ms;
    if (!taken) {
      std::printf("cuDNN does not take %s\n", label.c_str());
      continue;
    }
    bench.Report("cuDNN plan and first run", label, first_ms, flops, "TFLOP/s");
    FASTKV_CUDA_CHECK(cudaMemset(largest.As<void>(), 0, 4));
    DifferenceKernel<<<1024, 256, 0, bench.context().stream>>>(
        out.As<BF16>(), other_out.As<BF16>(), c.q_len * kQHeads * kDim, largest.As<float>());
    FASTKV_CHECK_LAUNCH("DifferenceKernel");
    float difference = 0;
    FASTKV_CUDA_CHECK(cudaStreamSynchronize(bench.context().stream));
    FASTKV_CUDA_CHECK(cudaMemcpy(&difference, largest.As<void>(), 4, cudaMemcpyDeviceToHost));
    std::printf("largest difference of own and cuDNN: %g%s\n", difference,
                difference < 0.05f ? "" : "  WRONG");
    bench.Report("PrefillAttention, cuDNN", label,
                 bench.Milliseconds([&](int64_t) { cudnn->Run(bench.context(), other); }), flops,
                 "TFLOP/s");
  }
}

void MeasureCached(Bench& bench) {
  constexpr int64_t kPoolBytes = 8 * kGiB;
  const Memory pool(kPoolBytes);
  bench.Fill(pool.As<BF16>(), kPoolBytes / 2, 9);
  const Memory q(64 * kQHeads * kDim * 2);
  bench.Fill(q.As<BF16>(), 64 * kQHeads * kDim, 10);
  const Memory out(64 * kQHeads * kDim * 2);
  struct Case {
    int64_t batch;
    int64_t kv_len;
    bool frozen;
  };
  for (const Case& c : {Case{1, 819, true}, Case{1, 8192, false}, Case{1, 13107, true},
                        Case{1, 32768, false}, Case{1, 131072, false}, Case{4, 131072, false},
                        Case{16, 13107, true}, Case{32, 13107, true}, Case{64, 819, true}}) {
    const int64_t tail_len = c.frozen ? 64 : c.kv_len;
    const int64_t frozen_len = c.frozen ? c.kv_len : 0;
    const int64_t half_bytes = kKvHeads * (frozen_len + tail_len) * kDim * 2;
    const int64_t sets = kPoolBytes / (2 * half_bytes);
    std::vector<int64_t> head_begin;
    for (int64_t a = 0; a <= kKvHeads; ++a) head_begin.push_back(a * frozen_len);
    const auto layer = [&](int64_t set) {
      auto* keys = pool.As<BF16>() + set % sets * half_bytes;
      BF16* values = keys + half_bytes / 2;
      KvLayerView view;
      const int64_t frozen_elements = kKvHeads * frozen_len * kDim;
      if (c.frozen) {
        view.frozen_keys = ConstTensorView(keys, DType::kBF16, {kKvHeads * frozen_len, kDim});
        view.frozen_values = ConstTensorView(values, DType::kBF16, {kKvHeads * frozen_len, kDim});
        view.head_begin = head_begin;
      }
      view.tail_keys =
          ConstTensorView(keys + frozen_elements, DType::kBF16, {kKvHeads, tail_len, kDim});
      view.tail_values =
          ConstTensorView(values + frozen_elements, DType::kBF16, {kKvHeads, tail_len, kDim});
      return view;
    };
    const double ms = bench.Milliseconds([&](int64_t turn) {
      std::vector<KvLayerView> sequences;
      for (int64_t i = 0; i < c.batch; ++i) sequences.push_back(layer(turn * c.batch + i));
      CachedAttentionParams params;
      params.q = ConstTensorView(q.As<void>(), DType::kBF16, {c.batch, kQHeads, kDim});
      params.sequences = sequences;
      params.scale = 1 / std::sqrt(static_cast<float>(kDim));
      params.out = TensorView(out.As<void>(), DType::kBF16, {c.batch, kQHeads * kDim});
      CachedAttention(bench.context(), params);
    });
    bench.Report(
        "CachedAttention",
        Label("batch ", c.batch) + Label(" entries ", c.kv_len) + (c.frozen ? " frozen" : " tail"),
        ms, 2.0 * half_bytes * c.batch, "GB/s");
  }
}

void MeasureSelection(Bench& bench) {
  constexpr int64_t kMost = 131072;
  const Memory q(32 * kQHeads * kDim * 2);
  const Memory keys(kMost * kKvHeads * kDim * 2);
  const Memory values(kMost * kKvHeads * kDim * 2);
  const Memory scores(kQHeads * kMost * 4);
  const Memory pooled(kQHeads * kMost * 4);
  const Memory reduced(kKvHeads * kMost * 4);
  const Memory indices(kKvHeads * kMost * 4);
  const Memory positions(kMost * 4);
  const Memory out_keys(kMost * kKvHeads * kDim * 2);
  const Memory out_values(kMost * kKvHeads * kDim * 2);
  const Memory out_positions(kKvHeads * kMost * 4);
  const Memory hidden(kMost * kHidden * 4);
  const Memory out_hidden(kMost * kHidden * 4);
  bench.Fill(q.As<BF16>(), 32 * kQHeads * kDim, 11);
  bench.Fill(keys.As<BF16>(), kMost * kKvHeads * kDim, 12);
  bench.Fill(values.As<BF16>(), kMost * kKvHeads * kDim, 13);
  bench.Fill(hidden.As<float>(), kMost * kHidden, 14);
  FillAscending<<<kMost / 256, 256, 0, bench.context().stream>>>(positions.As<int32_t>(), kMost, 1);
  FASTKV_CHECK_LAUNCH("FillAscending");
  constexpr int64_t kWindow = 8;
  for (int64_t n : {int64_t{8192}, int64_t{32768}, kMost}) {
    const int64_t columns = n - kWindow;
    const int64_t kept = n / 10;
    WindowScoresParams window;
    window.q = ConstTensorView(q.As<void>(), DType::kBF16, {kWindow, kQHeads, kDim});
    window.keys = ConstTensorView(keys.As<void>(), DType::kBF16, {kKvHeads, n, kDim});
    window.scale = 1 / std::sqrt(static_cast<float>(kDim));
    window.out = TensorView(scores.As<void>(), DType::kF32, {kQHeads, columns});
    PoolScoresParams pool;
    pool.scores = window.out;
    pool.kernel = 7;
    pool.out = TensorView(pooled.As<void>(), DType::kF32, {kQHeads, columns});
    ReduceRowsParams reduce;
    reduce.scores = pool.out;
    reduce.out = TensorView(reduced.As<void>(), DType::kF32, {kKvHeads, columns});
    SelectTopKParams select;
    select.scores = reduce.out;
    select.count = kept - kWindow;
    select.tail = kWindow;
    select.out = TensorView(indices.As<void>(), DType::kI32, {kKvHeads, kept});
    GatherKvParams gather;
    gather.keys = window.keys;
    gather.values = ConstTensorView(values.As<void>(), DType::kBF16, {kKvHeads, n, kDim});
    gather.positions = positions.As<int32_t>();
    gather.indices = select.out;
    gather.out_keys = TensorView(out_keys.As<void>(), DType::kBF16, {kKvHeads, kept, kDim});
    gather.out_values = TensorView(out_values.As<void>(), DType::kBF16, {kKvHeads, kept, kDim});
    gather.out_positions = TensorView(out_positions.As<void>(), DType::kI32, {kKvHeads, kept});
    const Context& context = bench.context();
    const auto report = [&](const char* op, double bytes, const std::function<void()>& run) {
      bench.Report(op, Label("prompt ", n), bench.Milliseconds([&](int64_t) { run(); }), bytes,
                   "GB/s");
    };
    const double key_bytes = static_cast<double>(n) * kKvHeads * kDim * 2;
    const double score_bytes = 4.0 * kQHeads * columns;
    report("WindowScores", key_bytes + score_bytes, [&] { WindowScores(context, window); });
    report("PoolScores", 2 * score_bytes, [&] { PoolScores(context, pool); });
    report("ReduceRows", 1.25 * score_bytes, [&] { ReduceRows(context, reduce); });
    report("SelectTopK", score_bytes / 4, [&] { SelectTopK(context, select); });
    report("GatherKv", 4.0 * kept * kKvHeads * kDim * 2, [&] { GatherKv(context, gather); });
    report("selection, all of these", key_bytes + score_bytes, [&] {
      WindowScores(context, window);
      PoolScores(context, pool);
      ReduceRows(context, reduce);
      SelectTopK(context, select);
      GatherKv(context, gather);
    });
    GatherRowsParams rows;
    rows.x = ConstTensorView(hidden.As<void>(), DType::kF32, {n, kHidden});
    rows.indices = indices.As<int32_t>();
    rows.out = TensorView(out_hidden.As<void>(), DType::kF32, {kept, kHidden});
    report("GatherRows", 8.0 * kept * kHidden, [&] { GatherRows(context, rows); });
  }
}

// What methods beside the window scores look at.
void MeasureScores(Bench& bench) {
  constexpr int64_t kMost = 131072;
  constexpr int64_t kBlock = 8192;
  constexpr int64_t kWidth = (kQHeads + 2 * kKvHeads) * kDim;
  const Memory qkv(kBlock * kWidth * 2);
  const Memory keys(kMost * kKvHeads * kDim * 2);
  const Memory values(kMost * kKvHeads * kDim * 2);
  const Memory log_sum_exp(kBlock * kQHeads * 4);
  const Memory mean(kQHeads * kDim * 4);
  const Memory matrices(kQHeads * kDim * kDim * 4);
  const Memory norm_weight(kDim * 4);
  const Memory scores(kQHeads * kMost * 4);
  bench.Fill(qkv.As<BF16>(), kBlock * kWidth, 19);
  bench.Fill(keys.As<BF16>(), kMost * kKvHeads * kDim, 20);
  bench.Fill(values.As<BF16>(), kMost * kKvHeads * kDim, 21);
  bench.Fill(log_sum_exp.As<float>(), kBlock * kQHeads, 22);
  bench.Fill(mean.As<float>(), kQHeads * kDim, 23);
  bench.Fill(matrices.As<float>(), kQHeads * kDim * kDim, 24, 0.1f);
  bench.Fill(norm_weight.As<float>(), kDim, 25);
  bench.Fill(scores.As<float>(), kQHeads * kMost, 26);
  const Context& context = bench.context();
  const float scale = 1 / std::sqrt(static_cast<float>(kDim));
  for (int64_t n : {kBlock, int64_t{32768}, kMost}) {
    const auto tokens = static_cast<double>(n);
    const ConstTensorView layer_keys(keys.As<void>(), DType::kBF16, {kKvHeads, n, kDim});
    const TensorView head_scores(scores.As<void>(), DType::kF32, {kKvHeads, n});
    const auto report = [&](const char* op, double work, const char* unit,
                            const std::function<void()>& run) {
      bench.Report(op, Label("entries ", n), bench.Milliseconds([&](int64_t) { run(); }), work,
                   unit);
    };
    ColumnScoresParams column;
    column.q = ConstTensorView(qkv.As<void>(), DType::kBF16, {kBlock, kQHeads, kDim});
    column.keys = layer_keys;
    column.q_start = n - kBlock;
    column.scale = scale;
    column.log_sum_exp = ConstTensorView(log_sum_exp.As<void>(), DType::kF32, {kBlock, kQHeads});
    column.out = head_scores;
    const double pairs = static_cast<double>(kBlock) * (tokens - (kBlock - 1) / 2.0);
    report("ColumnScores", 2.0 * pairs * kQHeads * kDim, "TFLOP/s",
           [&] { ColumnScores(context, column); });
    QueryScoresParams query;
    query.q = ConstTensorView(qkv.As<void>(), DType::kBF16, {1, kQHeads, kDim});
    query.keys = layer_keys;
    query.scale = scale;
    query.out = TensorView(scores.As<void>(), DType::kF32, {kQHeads, n});
    const double key_bytes = tokens * kKvHeads * kDim * 2;
    report("QueryScores", key_bytes + 4.0 * kQHeads * tokens, "GB/s",
           [&] { QueryScores(context, query); });
    const double score_bytes = 4.0 * kKvHeads * tokens;
    report("KeyNormScores", key_bytes + score_bytes, "GB/s",
           [&] { KeyNormScores(context, {.keys = layer_keys, .out = head_scores}); });
    report("KeyDiffScores", key_bytes + score_bytes, "GB/s",
           [&] { KeyDiffScores(context, {.keys = layer_keys, .out = head_scores}); });
    ExpectedAttentionScoresParams expected;
    expected.keys = layer_keys;
    expected.values = ConstTensorView(values.As<void>(), DType::kBF16, {kKvHeads, n, kDim});
    expected.mean = ConstTensorView(mean.As<void>(), DType::kF32, {kQHeads, kDim});
    expected.covariance = ConstTensorView(matrices.As<void>(), DType::kF32, {kQHeads, kDim, kDim});
    expected.scale = scale;
    expected.num_sinks = 4;
    expected.out = head_scores;
    report("ExpectedAttentionScores", 2.0 * tokens * kQHeads * kDim * kDim, "TFLOP/s",
           [&] { ExpectedAttentionScores(context, expected); });
    const ColumnSpan spans[] = {{0, 4}, {n - 32, n}};
    report("FillColumns", 4.0 * 36 * kKvHeads, "GB/s",
           [&] { FillColumns(context, {.scores = head_scores, .spans = spans, .value = 0}); });
  }
  QueryMomentsParams moments;
  moments.qkv = ConstTensorView(qkv.As<void>(), DType::kBF16, {kBlock, kWidth});
  moments.norm_epsilon = 1e-6f;
  moments.sum = TensorView(mean.As<void>(), DType::kF32, {kQHeads, kDim});
  moments.products = TensorView(matrices.As<void>(), DType::kF32, {kQHeads, kDim, kDim});
  for (const bool norm : {false, true}) {
    if (norm) moments.q_norm_weight = ConstTensorView(norm_weight.As<void>(), DType::kF32, {kDim});
    bench.Report("QueryMoments", Label("tokens ", kBlock) + (norm ? ", norm" : ""),
                 bench.Milliseconds([&](int64_t) { QueryMoments(context, moments); }),
                 2.0 * kBlock * kQHeads * kDim * kDim, "TFLOP/s");
  }
}

void MeasureRows(Bench& bench) {
  const Memory x(int64_t{32768} * 2 * kFfn * 2);
  const Memory out(int64_t{32768} * 2 * kFfn * 2);
  const Memory weight(kHidden * 4);
  const Memory positions(32768 * 4);
  const Memory table(32768 * kDim * 4);
  bench.Fill(weight.As<float>(), kHidden, 15);
  FillAscending<<<128, 256, 0, bench.context().stream>>>(positions.As<int32_t>(), 32768, 1);
  FASTKV_CHECK_LAUNCH("FillAscending");
  const Context& context = bench.context();
  for (int64_t n : {int64_t{1}, int64_t{8192}, int64_t{32768}}) {
    const auto tokens = static_cast<double>(n);
    const auto report = [&](const char* op, double bytes, const std::function<void()>& run) {
      bench.Report(op, Label("tokens ", n), bench.Milliseconds([&](int64_t) { run(); }), bytes,
                   "GB/s");
    };
    bench.Fill(x.As<float>(), n * kFfn, 16);
    RmsNormParams norm;
    norm.x = ConstTensorView(x.As<void>(), DType::kF32, {n, kHidden});
    norm.weight = ConstTensorView(weight.As<void>(), DType::kF32, {kHidden});
    norm.epsilon = 1e-5f;
    norm.out = TensorView(out.As<void>(), DType::kBF16, {n, kHidden});
    report("RmsNorm", tokens * kHidden * 6, [&] { RmsNorm(context, norm); });
    RopeTableParams rope;
    rope.positions = positions.As<int32_t>();
    rope.inverse_frequencies = ConstTensorView(weight.As<void>(), DType::kF32, {kDim / 2});
    rope.cos_sin = TensorView(table.As<void>(), DType::kF32, {n, kDim});
    report("RopeTable", tokens * kDim * 4, [&] { RopeTable(context, rope); });
    bench.Fill(x.As<BF16>(), n * 2 * kFfn, 17);
    SiluMultiplyParams silu;
    silu.gate_up = ConstTensorView(x.As<void>(), DType::kBF16, {n, 2 * kFfn});
    silu.out = TensorView(out.As<void>(), DType::kBF16, {n, kFfn});
    report("SiluMultiply", tokens * kFfn * 6, [&] { SiluMultiply(context, silu); });
    StoreQkvParams store;
    const int64_t heads = kQHeads + 2 * kKvHeads;
    store.qkv = ConstTensorView(x.As<void>(), DType::kBF16, {n, heads * kDim});
    store.cos_sin = rope.cos_sin;
    store.q = TensorView(out.As<void>(), DType::kBF16, {n, kQHeads, kDim});
    auto* keys = out.As<BF16>() + n * kQHeads * kDim;
    store.keys = TensorView(keys, DType::kBF16, {kKvHeads, n, kDim});
    store.values = TensorView(keys + n * kKvHeads * kDim, DType::kBF16, {kKvHeads, n, kDim});
    report("StoreQkv", tokens * heads * kDim * 4, [&] { StoreQkv(context, store); });
  }
  const Memory logits(int64_t{64} * 128256 * 4);
  bench.Fill(logits.As<float>(), int64_t{64} * 128256, 18);
  for (int64_t n : {int64_t{1}, int64_t{64}}) {
    ArgMaxParams arg_max;
    arg_max.logits = ConstTensorView(logits.As<void>(), DType::kF32, {n, 128256});
    arg_max.out = TensorView(out.As<void>(), DType::kI32, {n});
    bench.Report("ArgMax", Label("rows ", n),
                 bench.Milliseconds([&](int64_t) { ArgMax(context, arg_max); }),
                 4.0 * static_cast<double>(n) * 128256, "GB/s");
  }
}

int Main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr,
                 "usage: gpu_ops_bench FILE.json "
                 "[ceilings|matmul|prefill|cached|selection|scores|rows|matvec]\n");
    return 2;
  }
  const std::string section = argc == 3 ? argv[2] : "";
  const auto wanted = [&](const char* name) { return section.empty() || section == name; };
  Result<std::unique_ptr<MatMulEngine>> engine = MatMulEngine::Create();
  if (!engine.ok()) {
    std::fprintf(stderr, "gpu_ops_bench: %s\n", engine.status().message().c_str());
    return 1;
  }
  std::string reason;
  const std::unique_ptr<CudnnAttention> cudnn = CreateCudnnAttention(&reason);
  const std::string libraries = "cuBLASLt " + std::to_string((*engine)->library_version()) + ", " +
                                (cudnn != nullptr ? cudnn->description() : "no cuDNN: " + reason);
  Bench bench;
  std::printf("%s, %s\n", bench.device_name().c_str(), libraries.c_str());
  if (wanted("ceilings")) MeasureCeilings(bench);
  if (wanted("matmul")) MeasureMatMul(bench, **engine);
  if (wanted("prefill")) MeasurePrefill(bench, cudnn.get());
  if (wanted("cached")) MeasureCached(bench);
  if (wanted("selection")) MeasureSelection(bench);
  if (wanted("scores")) MeasureScores(bench);
  if (wanted("rows")) MeasureRows(bench);
  if (wanted("matvec")) MeasureMatVec(bench, **engine);
  return bench.Write(argv[1], libraries) ? 0 : 1;
}

}  // namespace
}  // namespace fastkv::cuda

int main(int argc, char** argv) { return fastkv::cuda::Main(argc, argv); }
