// Products of few rows, as in decoding: what counts is that memory is never waited for. How the
// work is cut changes no bit of a result (kernels.h).
#include <algorithm>
#include <cstdint>
#include <span>

#include "backend/cpu/products.h"
#include "base/checked_math.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

// What a task reads: enough for its four streams (mat_vec_kernels-inl.h) to get under way (half
// of this costs a twentieth of the speed).
constexpr int64_t kTaskBytes = 256 * 1024;
constexpr int64_t kMinTaskOutputs = 16;
constexpr int64_t kMaxTaskOutputs = 1024;
constexpr int64_t kTasksPerThread = 8;
// The last tasks are cut into as many, so that the threads end together.
constexpr int64_t kPieces = 4;
static_assert(kMatVecRows * kMaxTaskOutputs <= Context::kThreadScratchFloats);

struct OutputRange {
  int64_t first = 0;
  int64_t count = 0;
};

// A part's outputs, cut into tasks: large ones, then pieces of those.
struct PartTasks {
  int64_t num_outputs = 0;
  int64_t large = 0;  // outputs of a task
  int64_t piece = 0;
  int64_t num_large = 0;

  int64_t num_tasks() const {
    return num_large + CeilDivide(num_outputs - num_large * large, piece);
  }
  OutputRange Task(int64_t i) const {
    if (i < num_large) return {i * large, large};
    const int64_t first = num_large * large + (i - num_large) * piece;
    return {first, std::min(piece, num_outputs - first)};
  }
};

// Parts of one format, which share the prepared rows of x.
void MultiplyParts(const Context& context, const MatMulParams& params,
                   std::span<const CpuWeight::Part> parts) {
  const WeightKernels& kernels = context.kernels().weight(parts[0].rows.format);
  const int64_t num_rows = params.x.dim(0);
  const int64_t depth = params.x.dim(1);
  const int64_t x_stride = PreparedInputFloats(depth);
  for (int64_t row = 0; row < num_rows; ++row) {
    kernels.prepare_input(ElementAt(params.x, row, 0), params.x.dtype(), depth,
                          context.InputScratch() + row * x_stride);
  }
  int64_t num_outputs = 0;
  for (const CpuWeight::Part& part : parts) num_outputs += part.rows.num_rows;
  const int64_t even_share =
      RoundUp(num_outputs / (kTasksPerThread * context.num_threads()), kMinTaskOutputs);
  const int64_t large =
      std::clamp(std::min(even_share, kTaskBytes / std::max<int64_t>(1, parts[0].rows.row_bytes)),
                 kMinTaskOutputs, kMaxTaskOutputs);
  const auto tasks_of = [&](const CpuWeight::Part& part) {
    PartTasks tasks{.num_outputs = part.rows.num_rows,
                    .large = large,
                    .piece = CeilDivide(large, kPieces),
                    .num_large = part.rows.num_rows / large};
    if (&part == &parts.back()) {
      tasks.num_large = std::max<int64_t>(0, tasks.num_large - 2 * context.num_threads());
    }
    return tasks;
  };
  int64_t num_tasks = 0;
  for (const CpuWeight::Part& part : parts) num_tasks += tasks_of(part).num_tasks();
  ParallelFor(context.num_threads(), num_tasks, [&](int64_t i, int thread) {
    const CpuWeight::Part* part = parts.data();
    PartTasks tasks = tasks_of(*part);
    while (i >= tasks.num_tasks()) {
      i -= tasks.num_tasks();
      tasks = tasks_of(*++part);
    }
    const auto [first, count] = tasks.Task(i);
    float* const sums = context.ThreadScratch(thread);
    kernels.mat_vec({.x = context.InputScratch(),
                     .x_stride = x_stride,
                     .num_rows = num_rows,
                     .w = part->rows.At(first, 0),
                     .w_row_bytes = part->rows.row_bytes,
                     .num_outputs = count,
                     .depth = depth,
                     .out = sums,
                     .out_stride = count});
    for (int64_t row = 0; row < num_rows; ++row) {
      StoreSums(params, *part, row, first, count, sums + row * count);
    }
  });
}

}  // namespace

void MultiplyShort(const Context& context, const MatMulParams& params, const CpuWeight& weight) {
  const std::span<const CpuWeight::Part> parts = weight.parts();
  for (size_t begin = 0, end = 0; begin < parts.size(); begin = end) {
    while (end < parts.size() && parts[end].rows.format == parts[begin].rows.format) ++end;
    MultiplyParts(context, params, parts.subspan(begin, end - begin));
  }
}

}  // namespace fastkv::cpu
