// The memory seam. All large memory (weights, activations, KV) is taken through an Allocator, so
// that a test can make any allocation fail and a run can report the bytes it really held.
#ifndef FASTKV_BASE_ALLOCATOR_H_
#define FASTKV_BASE_ALLOCATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fastkv {

// Takes and returns blocks of memory of one device. Thread-safe.
class Allocator {
 public:
  virtual ~Allocator() = default;
  // Returns at least `num_bytes` (> 0) bytes aligned to 64, or nullptr when there are none.
  virtual void* Allocate(size_t num_bytes) = 0;
  // `data` came from Allocate(num_bytes) of this object.
  virtual void Free(void* data, size_t num_bytes) = 0;
};

// Host memory from the operating system; lives as long as the process.
Allocator& SystemAllocator();

// Counts what passes through to `base`, which must outlive it.
class TrackingAllocator final : public Allocator {
 public:
  explicit TrackingAllocator(Allocator& base) : base_(base) {}

  void* Allocate(size_t num_bytes) override;
  void Free(void* data, size_t num_bytes) override;

  int64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }
  // High-water mark of held_bytes() since construction or the last ResetPeak().
  int64_t peak_bytes() const { return peak_bytes_.load(std::memory_order_relaxed); }
  void ResetPeak() { peak_bytes_.store(held_bytes(), std::memory_order_relaxed); }

 private:
  Allocator& base_;
  std::atomic<int64_t> held_bytes_ = 0;
  std::atomic<int64_t> peak_bytes_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_BASE_ALLOCATOR_H_
