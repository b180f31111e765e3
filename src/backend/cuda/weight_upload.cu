#include "backend/cuda/weight_upload.h"

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>

#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"
#include "base/parallel_for.h"
#include "tensor/block_formats.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kStageBytes = int64_t{16} << 20;
constexpr int64_t kSliceBytes = int64_t{1} << 20;  // what one thread copies at a time

__device__ __forceinline__ float LoadFloat(float value) { return value; }
__device__ __forceinline__ float LoadFloat(BF16 value) { return __bfloat162float(value); }
__device__ __forceinline__ float LoadFloat(__half value) { return __half2float(value); }

template <typename From, typename To>
__global__ void __launch_bounds__(kThreads) ConvertKernel(const From* from, int64_t count, To* to) {
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * int64_t{kThreads}) {
    to[i] = FromFloat<To>(LoadFloat(from[i]));
  }
}

template <typename From>
void Convert(const Context& context, const void* from, int64_t count, void* to) {
  const unsigned grid = GridFor(count, kThreads, context.num_multiprocessors);
  if (context.type == DType::kBF16) {
    ConvertKernel<<<grid, kThreads, 0, context.stream>>>(static_cast<const From*>(from), count,
                                                         static_cast<BF16*>(to));
  } else {
    ConvertKernel<<<grid, kThreads, 0, context.stream>>>(static_cast<const From*>(from), count,
                                                         static_cast<float*>(to));
  }
  FASTKV_CHECK_LAUNCH("ConvertKernel");
}

// Page-locked memory that the device reads by itself, and the moment it has done so.
class Stage {
 public:
  Stage() = default;
  ~Stage() {
    if (event_ != nullptr) cudaEventDestroy(event_);
    if (data_ != nullptr) cudaFreeHost(data_);
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  Status Create(int64_t num_bytes) {
    FASTKV_RETURN_IF_CUDA_ERROR(cudaMallocHost(&data_, static_cast<size_t>(num_bytes)),
                                "taking page-locked host memory");
    FASTKV_RETURN_IF_CUDA_ERROR(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming),
                                "creating a CUDA event");
    return OkStatus();
  }
  void* data() const { return data_; }
  Status WaitUntilRead() const { return ToStatus(cudaEventSynchronize(event_), "copying weights"); }
  Status MarkRead(cudaStream_t stream) const {
    return ToStatus(cudaEventRecord(event_, stream), "copying weights");
  }

 private:
  void* data_ = nullptr;
  cudaEvent_t event_ = nullptr;
};

int NumCopyThreads() {
  static const int num_threads = std::min(DefaultNumThreads(), 8);
  return num_threads;
}

void CopyOnManyThreads(void* to, const std::byte* from, int64_t num_bytes) {
  ParallelFor(NumCopyThreads(), CeilDivide(num_bytes, kSliceBytes), [&](int64_t i, int) {
    const int64_t begin = i * kSliceBytes;
    std::memcpy(static_cast<std::byte*>(to) + begin, from + begin,
                static_cast<size_t>(std::min(kSliceBytes, num_bytes - begin)));
  });
}

// `count` values, a whole number of blocks.
void DecodeOnManyThreads(StoredType type, const std::byte* from, int64_t count, float* to) {
  constexpr int64_t kSliceValues = kSliceBytes / int64_t{sizeof(float)};
  ParallelFor(NumCopyThreads(), CeilDivide(count, kSliceValues), [&](int64_t i, int) {
    const int64_t begin = i * kSliceValues;
    DecodeRow(type, from + RowBytes(type, begin), std::min(kSliceValues, count - begin),
              to + begin);
  });
}

}  // namespace

Status UploadWeight(const Context& context, const WeightView& part, void* to) {
  // What arrives on the device: elements as they are stored, and what blocks stand for.
  const DType dtype = IsElementType(part.type) ? ElementTypeOf(part.type) : DType::kF32;
  const int64_t element_bytes = DTypeBytes(dtype);
  const int64_t count = part.num_rows * part.num_columns;
  const int64_t stage_elements = std::min(count, kStageBytes / element_bytes);
  constexpr int kNumStages = 2;
  FASTKV_CHECK_LE(kNumStages * kStageBytes, context.scratch_bytes);
  Stage stages[kNumStages];
  for (Stage& stage : stages) {
    FASTKV_RETURN_IF_ERROR(stage.Create(std::max<int64_t>(1, stage_elements * element_bytes)));
  }
  const auto* from = static_cast<const std::byte*>(part.data);
  auto* target = static_cast<std::byte*>(to);
  int turn = 0;
  for (int64_t begin = 0; begin < count; begin += stage_elements, turn = (turn + 1) % kNumStages) {
    const Stage& stage = stages[turn];
    const int64_t here = std::min(stage_elements, count - begin);
    const int64_t here_bytes = here * element_bytes;
    FASTKV_RETURN_IF_ERROR(stage.WaitUntilRead());
    if (IsElementType(part.type)) {
      CopyOnManyThreads(stage.data(), from + begin * element_bytes, here_bytes);
    } else {
      DecodeOnManyThreads(part.type, from + RowBytes(part.type, begin), here,
                          static_cast<float*>(stage.data()));
    }
    std::byte* final_place = target + begin * DTypeBytes(context.type);
    const bool convert = dtype != context.type;
    std::byte* landing = convert ? context.scratch + turn * kStageBytes : final_place;
    FASTKV_RETURN_IF_CUDA_ERROR(
        cudaMemcpyAsync(landing, stage.data(), static_cast<size_t>(here_bytes),
                        cudaMemcpyHostToDevice, context.stream),
        "copying weights");
    FASTKV_RETURN_IF_ERROR(stage.MarkRead(context.stream));
    if (!convert) continue;
    if (dtype == DType::kF32) {
      Convert<float>(context, landing, here, final_place);
    } else if (dtype == DType::kBF16) {
      Convert<BF16>(context, landing, here, final_place);
    } else {
      Convert<__half>(context, landing, here, final_place);
    }
  }
  return ToStatus(cudaStreamSynchronize(context.stream), "copying weights");
}

Status CheckKernelsRun() {
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, ConvertKernel<float, float>);
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction) {
    cudaGetLastError();
    return DeviceError(
        "this build of fastkv has no code for the CUDA device; build it with "
        "-DFASTKV_CUDA_ARCHITECTURES set to the device's compute capability");
  }
  return ToStatus(error, "looking for code for the CUDA device");
}

}  // namespace fastkv::cuda
