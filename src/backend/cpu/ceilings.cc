#include "backend/cpu/ceilings.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include "backend/cpu/onednn.h"
#include "backend/cpu/vector_ops.h"
#include "base/allocator.h"
#include "base/clock.h"
#include "base/parallel_for.h"
#include "tensor/buffer.h"

namespace fastkv {
namespace {

// Calls `run` until the time is up; the shortest time in seconds.
double BestSeconds(double duration_ms, const std::function<void()>& run) {
  const Clock& clock = SystemClock();
  const double begin_ms = clock.NowMs();
  double best_ms = 1e300;
  double now_ms = begin_ms;
  do {
    run();
    const double end_ms = clock.NowMs();
    best_ms = std::min(best_ms, end_ms - now_ms);
    now_ms = end_ms;
  } while (now_ms - begin_ms < duration_ms);
  return std::max(best_ms, 1e-6) / 1e3;
}

}  // namespace

Result<double> MeasureMatrixFlopsPerSecond(DType type, int num_threads, double duration_ms) {
  constexpr int64_t kSize = 2048;
  FASTKV_ASSIGN_OR_RETURN(cpu::OneDnnProduct product,
                          cpu::OneDnnProduct::Create(type, kSize, num_threads));
  product.Run();
  const double seconds = BestSeconds(duration_ms, [&] { product.Run(); });
  return 2.0 * kSize * kSize * kSize / seconds;
}

Result<double> MeasureReadBytesPerSecond(int num_threads, double duration_ms) {
  constexpr int64_t kBufferBytes = int64_t{512} << 20;
  constexpr int64_t kBlockBytes = int64_t{1} << 20;
  constexpr int64_t kBlockFloats = kBlockBytes / int64_t{sizeof(float)};
  FASTKV_ASSIGN_OR_RETURN(Buffer buffer,
                          Buffer::Allocate(SystemAllocator(), kBufferBytes, "read bandwidth test"));
  const auto* data = static_cast<const float*>(buffer.data());
  const auto for_blocks = [&](const std::function<void(int64_t)>& task) {
    ParallelFor(num_threads, kBufferBytes / kBlockBytes, [&](int64_t i, int) { task(i); });
  };
  // Every page must be real before it is timed.
  for_blocks([&](int64_t i) {
    std::memset(static_cast<char*>(buffer.data()) + i * kBlockBytes, 0, kBlockBytes);
  });
  std::atomic<float> total = 0;
  const double seconds = BestSeconds(duration_ms, [&] {
    for_blocks([&](int64_t i) {
      total.store(cpu::SumOf(data + i * kBlockFloats, kBlockFloats), std::memory_order_relaxed);
    });
  });
  return static_cast<double>(kBufferBytes) / seconds;
}

}  // namespace fastkv
