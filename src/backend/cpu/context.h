// What every operation of the CPU back end works with: the kernels of the level, the number of
// threads, and scratch memory taken once, when the back end is made. Work is cut into blocks of
// fixed size, so no operation ever needs more.
#ifndef FASTKV_BACKEND_CPU_CONTEXT_H_
#define FASTKV_BACKEND_CPU_CONTEXT_H_

#include <cstdint>
#include <functional>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "base/status.h"
#include "tensor/buffer.h"

namespace fastkv::cpu {

class Context {
 public:
  // Floats of scratch of one thread, and of all together; the operations that cut their work to
  // fit say how.
  static constexpr int64_t kThreadScratchFloats = 304 * 1024;
  static constexpr int64_t kSharedScratchFloats = 2 * 1024 * 1024;

  // Errors: kMemory.
  static Result<Context> Create(CpuLevel level, int num_threads, ComputeTypes types,
                                TrackingAllocator& allocator);

  const Kernels& kernels() const { return *kernels_; }
  int num_threads() const { return num_threads_; }
  ComputeTypes types() const { return types_; }

  // 64-byte aligned; `thread` as ParallelFor gives it.
  float* ThreadScratch(int thread) const {
    return static_cast<float*>(thread_scratch_.data()) + thread * kThreadScratchFloats;
  }
  float* SharedScratch() const { return static_cast<float*>(shared_scratch_.data()); }

  // kMatVecRows rows of PreparedInputFloats(in_features), for the widest weight reserved so far.
  float* InputScratch() const { return static_cast<float*>(input_scratch_.data()); }
  // Makes InputScratch() wide enough. Errors: kMemory; what was reserved before stays.
  Status ReserveInputs(int64_t in_features, TrackingAllocator& allocator);

  // Calls task(begin, end, thread) over [0, num_rows) in blocks worth a thread's while, on one
  // thread when all of it is not. `row_cost`: elements touched in a row, about.
  void ForRows(int64_t num_rows, int64_t row_cost,
               const std::function<void(int64_t begin, int64_t end, int thread)>& task) const;

 private:
  Context() = default;

  const Kernels* kernels_ = nullptr;
  int num_threads_ = 1;
  ComputeTypes types_;
  Buffer thread_scratch_;
  Buffer shared_scratch_;
  Buffer input_scratch_;
};

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_CONTEXT_H_
