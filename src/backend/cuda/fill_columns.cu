#include <cuda_runtime.h>

#include <algorithm>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxSpans = 128;  // of one launch: they travel as its parameters

struct KernelParams {
  float* scores;
  int64_t stride;
  int64_t num_rows;
  float value;
  int num_spans;
  int64_t begin[kMaxSpans];
  int64_t offset[kMaxSpans + 1];  // columns of the spans before; the last is the number of all
};

// One thread a column of any span; grid dimension y strides over the rows.
__global__ void __launch_bounds__(kThreads)
    FillColumnsKernel(const __grid_constant__ KernelParams p) {
  const int64_t num_columns = p.offset[p.num_spans];
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < num_columns;
       i += gridDim.x * int64_t{kThreads}) {
    int low = 0;  // the last span that begins at or before column i of all
    int high = p.num_spans - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (p.offset[middle] <= i) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    const int64_t column = p.begin[low] + (i - p.offset[low]);
    for (int64_t row = blockIdx.y; row < p.num_rows; row += gridDim.y) {
      p.scores[row * p.stride + column] = p.value;
    }
  }
}

}  // namespace

void FillColumns(const Context& context, const FillColumnsParams& params) {
  FASTKV_CHECK(params.scores.dtype() == DType::kF32);
  const int64_t num_rows = params.scores.dim(0);
  if (num_rows == 0) return;
  KernelParams p = {};
  p.scores = params.scores.As<float>();
  p.stride = params.scores.stride(0);
  p.num_rows = num_rows;
  p.value = params.value;
  const auto launch = [&] {
    const int64_t num_columns = p.offset[p.num_spans];
    if (num_columns == 0) return;
    const dim3 grid(GridFor(num_columns, kThreads, context.num_multiprocessors),
                    static_cast<unsigned>(std::min(num_rows, kMaxGridY)));
    FillColumnsKernel<<<grid, kThreads, 0, context.stream>>>(p);
    FASTKV_CHECK_LAUNCH("FillColumnsKernel");
  };
  for (const ColumnSpan& span : params.spans) {
    FASTKV_CHECK_LE(0, span.begin);
    FASTKV_CHECK_LE(span.begin, span.end);
    FASTKV_CHECK_LE(span.end, params.scores.dim(1));
    if (span.begin == span.end) continue;
    p.begin[p.num_spans] = span.begin;
    p.offset[p.num_spans + 1] = p.offset[p.num_spans] + (span.end - span.begin);
    if (++p.num_spans < kMaxSpans) continue;
    launch();
    p.num_spans = 0;
  }
  launch();
}

}  // namespace fastkv::cuda
