#include "base/allocator.h"

#include <cstdlib>

#include "base/checked_math.h"

namespace fastkv {
namespace {

constexpr size_t kAlignment = 64;

class MallocAllocator final : public Allocator {
 public:
  void* Allocate(size_t num_bytes) override {
    if (num_bytes > static_cast<size_t>(INT64_MAX) - kAlignment) return nullptr;
    return std::aligned_alloc(
        kAlignment, static_cast<size_t>(RoundUp(static_cast<int64_t>(num_bytes), kAlignment)));
  }
  void Free(void* data, size_t /*num_bytes*/) override { std::free(data); }
};

}  // namespace

Allocator& SystemAllocator() {
  static MallocAllocator allocator;
  return allocator;
}

void* TrackingAllocator::Allocate(size_t num_bytes) {
  void* data = base_.Allocate(num_bytes);
  if (data == nullptr) return nullptr;
  const int64_t held =
      held_bytes_.fetch_add(static_cast<int64_t>(num_bytes)) + static_cast<int64_t>(num_bytes);
  int64_t peak = peak_bytes_.load();
  while (held > peak && !peak_bytes_.compare_exchange_weak(peak, held)) {
  }
  return data;
}

void TrackingAllocator::Free(void* data, size_t num_bytes) {
  base_.Free(data, num_bytes);
  held_bytes_.fetch_sub(static_cast<int64_t>(num_bytes));
}

}  // namespace fastkv
