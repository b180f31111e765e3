#include "base/parallel_for.h"

#ifndef FASTKV_STD_THREADS
#include <omp.h>
#endif
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"

namespace fastkv {
namespace {

// Number of distinct (package, core) pairs in the affinity mask; hyper-threads count once.
int PhysicalCoresInAffinityMask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) {
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    std::ifstream siblings("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                           "/topology/thread_siblings_list");
    std::string list;
    if (!std::getline(siblings, list)) list = std::to_string(cpu);
    cores.insert(list);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

// The cgroup v2 quota in whole cores, rounded up, or a large number where there is none.
int CgroupCores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 1 << 20;
  const double cores = std::strtod(quota.c_str(), nullptr) / period;
  return std::max(1, static_cast<int>(cores + 0.999));
}

}  // namespace

int DefaultNumThreads() {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  if (wanted != nullptr) {
    const int count = std::atoi(wanted);
    if (count >= 1) return std::min(count, 1024);
  }
  return std::min(PhysicalCoresInAffinityMask(), CgroupCores());
}

#ifdef FASTKV_STD_THREADS

void ParallelFor(int num_threads, int64_t num_tasks,
                 const std::function<void(int64_t, int)>& task) {
  FASTKV_CHECK_GE(num_threads, 1);
  std::atomic<int64_t> next = 0;
  const auto work = [&](int thread) {
    for (int64_t i = next.fetch_add(1); i < num_tasks; i = next.fetch_add(1)) task(i, thread);
  };
  const int helpers = static_cast<int>(std::min<int64_t>(num_threads, num_tasks)) - 1;
  std::vector<std::thread> threads;
  for (int t = 1; t <= helpers; ++t) threads.emplace_back(work, t);
  work(0);
  for (std::thread& thread : threads) thread.join();
}

#else

void ParallelFor(int num_threads, int64_t num_tasks,
                 const std::function<void(int64_t, int)>& task) {
  FASTKV_CHECK_GE(num_threads, 1);
  if (num_tasks <= 0) return;
  if (num_threads == 1 || num_tasks == 1) {
    for (int64_t i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  std::atomic<int64_t> next = 0;
#pragma omp parallel num_threads(num_threads)
  {
    const int thread = omp_get_thread_num();
    for (int64_t i = next.fetch_add(1); i < num_tasks; i = next.fetch_add(1)) task(i, thread);
  }
}

#endif

}  // namespace fastkv
