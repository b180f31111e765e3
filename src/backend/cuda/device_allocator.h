// Device memory in blocks that are kept for reuse.
#ifndef FASTKV_BACKEND_CUDA_DEVICE_ALLOCATOR_H_
#define FASTKV_BACKEND_CUDA_DEVICE_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>

#include "base/allocator.h"

namespace fastkv::cuda {

// cudaMalloc and cudaFree wait for the device, so a freed block stays here and serves the next
// request of about its size; all idle blocks go back to the driver when it has no memory left. A
// block may be handed out again while work that used it is still queued: all work of a back end is
// on one stream, so the new user's work comes after it.
//
// Thread-safe. Every block must be freed before the allocator is destroyed.
class DeviceAllocator final : public Allocator {
 public:
  explicit DeviceAllocator(int device) : device_(device) {}
  ~DeviceAllocator() override;

  void* Allocate(size_t num_bytes) override;
  void Free(void* data, size_t num_bytes) override;

  // Taken from the driver, in use or idle.
  int64_t reserved_bytes() const;

 private:
  void ReleaseIdleLocked();

  const int device_;
  mutable std::mutex mutex_;
  std::multimap<size_t, void*> idle_;              // by size
  std::unordered_map<void*, size_t> block_bytes_;  // of every block
  int64_t reserved_bytes_ = 0;
};

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_DEVICE_ALLOCATOR_H_
