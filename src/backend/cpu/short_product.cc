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

// What a task reads: enough for its four streams (mat_vec_kernels-inl.h) to get under way, little
// enough that the threads end together.
constexpr int64_t kTaskBytes = 128 * 1024;
constexpr int64_t kMinTaskOutputs = 8;
constexpr int64_t kMaxTaskOutputs = 1024;
constexpr int64_t kTasksPerThread = 8;
static_assert(kMatVecRows * kMaxTaskOutputs <= Context::kThreadScratchFloats);

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
  const int64_t task_outputs =
      std::clamp(std::min(even_share, kTaskBytes / std::max<int64_t>(1, parts[0].rows.row_bytes)),
                 kMinTaskOutputs, kMaxTaskOutputs);
  const auto num_tasks = [&](const CpuWeight::Part& part) {
    return CeilDivide(part.rows.num_rows, task_outputs);
  };
  int64_t all_tasks = 0;
  for (const CpuWeight::Part& part : parts) all_tasks += num_tasks(part);
  ParallelFor(context.num_threads(), all_tasks, [&](int64_t i, int thread) {
    const CpuWeight::Part* part = parts.data();
    for (; i >= num_tasks(*part); ++part) i -= num_tasks(*part);
    const int64_t first = i * task_outputs;
    const int64_t count = std::min(task_outputs, part->rows.num_rows - first);
    float* const sums = context.ThreadScratch(thread);
    kernels.mat_vec({.x = context.InputScratch(),
                     .x_stride = x_stride,
                     .num_rows = num_rows,
                     .w = part->rows.At(first, 0),
                     .w_row_bytes = part->rows.row_bytes,
                     .num_outputs = count,
                     .depth = depth,
                     .out = sums,
                     .out_stride = task_outputs});
    for (int64_t row = 0; row < num_rows; ++row) {
      StoreSums(params, *part, row, first, count, sums + row * task_outputs);
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
