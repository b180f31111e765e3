#include "backend/cuda/cuda_backend.h"

#include <string>
#include <utility>

#include "backend/cuda/attention.h"
#include "backend/cuda/ceilings.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/weight_upload.h"
#include "base/check.h"

namespace fastkv {
namespace cuda {
namespace {

// Used by every operation in turn: cuBLASLt's workspace (Hopper's kernels want 32 MiB), parts of
// split attention, softmax states, staging of weights.
constexpr int64_t kScratchBytes = int64_t{96} << 20;
constexpr int64_t kNumCounters = int64_t{64} << 10;
constexpr int kOldestMajor = 8;
constexpr int kHopperMajor = 9;
// Large enough that a block's products run at the device's full rate and its attention takes few
// launches; its activations take about 1 GiB for a model of 8B parameters.
constexpr int64_t kMaxBlockTokens = 8192;
constexpr double kBlockFlops = 2e13;

// What a machine without a usable driver answers, as a sentence for the user.
Status DriverError(cudaError_t error) {
  cudaGetLastError();
  switch (error) {
    case cudaErrorInsufficientDriver:
    case cudaErrorStubLibrary:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return DeviceError(
          "no NVIDIA driver, or one older than CUDA " + std::to_string(CUDART_VERSION / 1000) +
          " needs; install or update the driver (nvidia-smi shows it), or run with --device cpu");
    case cudaErrorNoDevice:
      return DeviceError(
          "no NVIDIA GPU is visible; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or run with "
          "--device cpu");
    default:
      return ToStatus(error, "looking for CUDA devices");
  }
}

}  // namespace

Result<std::unique_ptr<CudaBackend>> CudaBackend::Create(const CudaOptions& options) {
  int num_devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&num_devices);
  if (error != cudaSuccess) return DriverError(error);
  if (options.device_index < 0 || options.device_index >= num_devices) {
    return DeviceError("there is no CUDA device " + std::to_string(options.device_index) + ": " +
                       std::to_string(num_devices) + " found, counted from 0");
  }
  std::unique_ptr<CudaBackend> backend(new CudaBackend(options.device_index));
  FASTKV_RETURN_IF_ERROR(backend->Initialize(options));
  return backend;
}

CudaBackend::CudaBackend(int device)
    : device_(device), device_allocator_(device), allocator_(device_allocator_) {}

Status CudaBackend::Initialize(const CudaOptions& options) {
  FASTKV_RETURN_IF_CUDA_ERROR(cudaSetDevice(device_), "choosing the CUDA device");
  cudaDeviceProp properties;
  FASTKV_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, device_),
                              "reading the CUDA device's properties");
  if (properties.major < kOldestMajor) {
    return DeviceError(std::string(properties.name) + " has compute capability " +
                       std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                       "; 8.0 (Ampere) or newer is needed; run with --device cpu");
  }
  FASTKV_RETURN_IF_ERROR(CheckKernelsRun());
  context_.type = options.compute_type == ComputeType::kF32 ? DType::kF32 : DType::kBF16;
  context_.num_multiprocessors = properties.multiProcessorCount;
  context_.max_shared_bytes = static_cast<int>(properties.sharedMemPerBlockOptin);
  context_.launches_early = properties.major >= kHopperMajor;
  FASTKV_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking),
                              "creating a CUDA stream");
  FASTKV_ASSIGN_OR_RETURN(scratch_, Allocate(kScratchBytes, "scratch memory of the CUDA device"));
  FASTKV_ASSIGN_OR_RETURN(
      counters_, Allocate(kNumCounters * int64_t{sizeof(uint32_t)}, "counters of the CUDA device"));
  context_.scratch = static_cast<std::byte*>(scratch_.data());
  context_.scratch_bytes = scratch_.num_bytes();
  context_.counters = static_cast<uint32_t*>(counters_.data());
  context_.num_counters = kNumCounters;
  FASTKV_RETURN_IF_CUDA_ERROR(
      cudaMemsetAsync(counters_.data(), 0, static_cast<size_t>(counters_.num_bytes()),
                      context_.stream),
      "clearing device memory");
  FASTKV_ASSIGN_OR_RETURN(mat_mul_, MatMulEngine::Create());
  info_.name = "cuda:" + std::to_string(device_);
  info_.description = properties.name;
  info_.block_flops = kBlockFlops;
  info_.max_block_tokens = kMaxBlockTokens;
  if (context_.type == DType::kBF16) {
    std::string reason;
    cudnn_ = CreateCudnnAttention(&reason);
    info_.description +=
        cudnn_ != nullptr ? ", " + cudnn_->description() : ", own attention (" + reason + ")";
  }
  return Synchronize();
}

CudaBackend::~CudaBackend() {
  if (cudaSetDevice(device_) != cudaSuccess) return;
  if (context_.stream != nullptr) {
    FASTKV_CUDA_CHECK(cudaStreamSynchronize(context_.stream));
    cudnn_.reset();
    mat_mul_.reset();
    FASTKV_CUDA_CHECK(cudaStreamDestroy(context_.stream));
  }
}

void CudaBackend::MakeCurrent() const { FASTKV_CUDA_CHECK(cudaSetDevice(device_)); }

Status CudaBackend::CopyToDevice(void* device, const void* host, int64_t num_bytes) {
  MakeCurrent();
  if (num_bytes == 0) return OkStatus();
  FASTKV_RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(device, host, static_cast<size_t>(num_bytes),
                                              cudaMemcpyHostToDevice, context_.stream),
                              "copying to the CUDA device");
  return Synchronize();
}

Status CudaBackend::CopyToHost(void* host, const void* device, int64_t num_bytes) {
  MakeCurrent();
  if (num_bytes == 0) return OkStatus();
  FASTKV_RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(host, device, static_cast<size_t>(num_bytes),
                                              cudaMemcpyDeviceToHost, context_.stream),
                              "copying from the CUDA device");
  return Synchronize();
}

void CudaBackend::Copy(void* to, const void* from, int64_t num_bytes) {
  MakeCurrent();
  if (num_bytes == 0) return;
  FASTKV_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(num_bytes),
                                    cudaMemcpyDeviceToDevice, context_.stream));
}

Status CudaBackend::Synchronize() {
  MakeCurrent();
  FASTKV_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(context_.stream),
                              "waiting for the CUDA device");
  return ToStatus(cudaGetLastError(), "running on the CUDA device");
}

Result<DeviceCeilings> CudaBackend::MeasureCeilings(double duration_ms) {
  MakeCurrent();
  return cuda::MeasureCeilings(context_, allocator_, *mat_mul_, cudnn_.get(), duration_ms);
}

Result<std::unique_ptr<PackedWeight>> CudaBackend::PackWeight(std::span<const WeightView> parts) {
  MakeCurrent();
  FASTKV_CHECK(!parts.empty());
  const int64_t in_features = parts[0].num_columns;
  int64_t out_features = 0;
  for (const WeightView& part : parts) {
    FASTKV_CHECK_EQ(part.num_columns, in_features);
    FASTKV_CHECK_EQ(part.row_bytes, RowBytes(part.type, in_features));
    out_features += part.num_rows;
  }
  const int64_t row_bytes = in_features * DTypeBytes(context_.type);
  FASTKV_ASSIGN_OR_RETURN(Buffer values, Allocate(out_features * row_bytes, "packed weight"));
  auto* to = static_cast<std::byte*>(values.data());
  for (const WeightView& part : parts) {
    FASTKV_RETURN_IF_ERROR(UploadWeight(context_, part, to));
    to += part.num_rows * row_bytes;
  }
  return std::unique_ptr<PackedWeight>(
      std::make_unique<CudaWeight>(out_features, in_features, context_.type, std::move(values)));
}

void CudaBackend::EmbedTokens(const EmbedTokensParams& params) {
  MakeCurrent();
  cuda::EmbedTokens(context_, static_cast<const CudaWeight&>(*params.table).View(), params.ids,
                    params.out);
}

void CudaBackend::MatMul(const MatMulParams& params) {
  MakeCurrent();
  mat_mul_->Run(context_, {.x = params.x,
                           .weight = static_cast<const CudaWeight&>(*params.weight).View(),
                           .bias = params.bias,
                           .out = params.out,
                           .accumulate = params.accumulate});
}

void CudaBackend::PrefillAttention(const PrefillAttentionParams& params) {
  MakeCurrent();
  cuda::PrefillAttention(context_, cudnn_.get(), params);
}

#define FASTKV_FORWARD_(Operation)                               \
  void CudaBackend::Operation(const Operation##Params& params) { \
    MakeCurrent();                                               \
    cuda::Operation(context_, params);                           \
  }
FASTKV_FORWARD_(RmsNorm)
FASTKV_FORWARD_(RopeTable)
FASTKV_FORWARD_(StoreQkv)
FASTKV_FORWARD_(CachedAttention)
FASTKV_FORWARD_(SiluMultiply)
FASTKV_FORWARD_(WindowScores)
FASTKV_FORWARD_(ColumnScores)
FASTKV_FORWARD_(QueryScores)
FASTKV_FORWARD_(KeyNormScores)
FASTKV_FORWARD_(KeyDiffScores)
FASTKV_FORWARD_(QueryMoments)
FASTKV_FORWARD_(ExpectedAttentionScores)
FASTKV_FORWARD_(FillColumns)
FASTKV_FORWARD_(PoolScores)
FASTKV_FORWARD_(ReduceRows)
FASTKV_FORWARD_(SelectTopK)
FASTKV_FORWARD_(GatherRows)
FASTKV_FORWARD_(GatherKv)
FASTKV_FORWARD_(ArgMax)
FASTKV_FORWARD_(TargetLogProbs)
#undef FASTKV_FORWARD_

}  // namespace cuda

Result<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<cuda::CudaBackend> backend,
                          cuda::CudaBackend::Create(options));
  return std::unique_ptr<Backend>(std::move(backend));
}

std::vector<std::string> ListCudaDevices() {
  std::vector<std::string> names;
  int num_devices = 0;
  if (cudaGetDeviceCount(&num_devices) != cudaSuccess) {
    cudaGetLastError();
    return names;
  }
  for (int i = 0; i < num_devices; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) {
      cudaGetLastError();
      break;
    }
    names.emplace_back(properties.name);
  }
  return names;
}

}  // namespace fastkv
