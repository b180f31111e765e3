#include "backend/cpu/context.h"

#include <algorithm>
#include <utility>

#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {

Result<Context> Context::Create(CpuLevel level, int num_threads, ComputeTypes types,
                                TrackingAllocator& allocator) {
  FASTKV_CHECK_GE(num_threads, 1);
  constexpr int64_t kFloatBytes = sizeof(float);
  Context context;
  context.kernels_ = &KernelsFor(level);
  context.num_threads_ = num_threads;
  context.types_ = types;
  FASTKV_ASSIGN_OR_RETURN(
      context.thread_scratch_,
      Buffer::Allocate(allocator, num_threads * kThreadScratchFloats * kFloatBytes,
                       "CPU scratch memory of the threads"));
  FASTKV_ASSIGN_OR_RETURN(
      context.shared_scratch_,
      Buffer::Allocate(allocator, kSharedScratchFloats * kFloatBytes, "CPU scratch memory"));
  return context;
}

Status Context::ReserveInputs(int64_t in_features, TrackingAllocator& allocator) {
  const int64_t num_bytes = kMatVecRows * PreparedInputFloats(in_features) * int64_t{sizeof(float)};
  if (num_bytes <= input_scratch_.num_bytes()) return OkStatus();
  FASTKV_ASSIGN_OR_RETURN(input_scratch_,
                          Buffer::Allocate(allocator, num_bytes, "CPU scratch memory of inputs"));
  return OkStatus();
}

void Context::ForRows(int64_t num_rows, int64_t row_cost,
                      const std::function<void(int64_t, int64_t, int)>& task) const {
  // Below this many elements a parallel region costs more than it saves.
  constexpr int64_t kTaskElements = 16 * 1024;
  const int64_t block = std::max<int64_t>(1, kTaskElements / std::max<int64_t>(1, row_cost));
  ParallelFor(num_threads_, CeilDivide(num_rows, block), [&](int64_t i, int thread) {
    task(i * block, std::min(num_rows, (i + 1) * block), thread);
  });
}

}  // namespace fastkv::cpu
