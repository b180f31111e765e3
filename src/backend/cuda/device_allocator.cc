#include "backend/cuda/device_allocator.h"

#include <cuda_runtime_api.h>

#include "backend/cuda/cuda_check.h"
#include "base/check.h"

namespace fastkv::cuda {
namespace {

constexpr size_t kSmallGranule = 512;
constexpr size_t kLargeGranule = size_t{2} << 20;  // the driver's page size for device memory

size_t BlockBytes(size_t num_bytes) {
  const size_t granule = num_bytes < kLargeGranule ? kSmallGranule : kLargeGranule;
  return (num_bytes + granule - 1) / granule * granule;
}

}  // namespace

DeviceAllocator::~DeviceAllocator() {
  std::lock_guard lock(mutex_);
  ReleaseIdleLocked();
  FASTKV_CHECK(block_bytes_.empty());
}

void* DeviceAllocator::Allocate(size_t num_bytes) {
  if (num_bytes > static_cast<size_t>(INT64_MAX) - kLargeGranule) return nullptr;
  const size_t wanted = BlockBytes(num_bytes);
  std::lock_guard lock(mutex_);
  // At most an eighth of a reused block may lie idle at its end.
  const auto found = idle_.lower_bound(wanted);
  if (found != idle_.end() && found->first - wanted <= wanted / 8) {
    void* data = found->second;
    idle_.erase(found);
    return data;
  }
  if (cudaSetDevice(device_) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  void* data = nullptr;
  cudaError_t error = cudaMalloc(&data, wanted);
  if (error == cudaErrorMemoryAllocation && !idle_.empty()) {
    cudaGetLastError();
    ReleaseIdleLocked();
    error = cudaMalloc(&data, wanted);
  }
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  FASTKV_CUDA_CHECK(error);
  block_bytes_.emplace(data, wanted);
  reserved_bytes_ += static_cast<int64_t>(wanted);
  return data;
}

void DeviceAllocator::Free(void* data, size_t /*num_bytes*/) {
  std::lock_guard lock(mutex_);
  const auto block = block_bytes_.find(data);
  FASTKV_CHECK(block != block_bytes_.end());
  idle_.emplace(block->second, data);
}

int64_t DeviceAllocator::reserved_bytes() const {
  std::lock_guard lock(mutex_);
  return reserved_bytes_;
}

void DeviceAllocator::ReleaseIdleLocked() {
  for (const auto& [num_bytes, data] : idle_) {
    FASTKV_CUDA_CHECK(cudaFree(data));
    block_bytes_.erase(data);
    reserved_bytes_ -= static_cast<int64_t>(num_bytes);
  }
  idle_.clear();
}

}  // namespace fastkv::cuda
