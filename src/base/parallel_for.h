// The one way to use several cores. OpenMP in normal builds (oneDNN uses the same pool); plain
// std::thread under ThreadSanitizer, which cannot see OpenMP's barriers.
#ifndef FASTKV_BASE_PARALLEL_FOR_H_
#define FASTKV_BASE_PARALLEL_FOR_H_

#include <cstdint>
#include <functional>

namespace fastkv {

// Calls task(i, thread) once for every i in [0, num_tasks), on up to `num_threads` threads;
// `thread` is in [0, num_threads) and no two running tasks share one. Tasks are handed out in
// ascending order as threads become free, so put the long ones first. Returns when all are done.
// A task must not throw and must not call ParallelFor. REQUIRES: num_threads >= 1.
// Only one thread of the process may be inside at a time for OpenMP's pool to be reused.
void ParallelFor(int num_threads, int64_t num_tasks,
                 const std::function<void(int64_t i, int thread)>& task);

// Physical cores that this process may use: affinity mask and cgroup quota considered, and
// OMP_NUM_THREADS obeyed where it is set. At least 1.
int DefaultNumThreads();

}  // namespace fastkv

#endif  // FASTKV_BASE_PARALLEL_FOR_H_
