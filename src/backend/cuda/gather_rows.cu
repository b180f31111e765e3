#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kThreads = 256;

// Word: the widest type that rows are a whole number of and aligned to. Strides count words.
template <typename Word>
__global__ void __launch_bounds__(kThreads)
    GatherRowsKernel(const Word* x, int64_t in_stride, const int32_t* indices, int64_t num_selected,
                     int64_t row_words, Word* out, int64_t out_stride) {
  const int64_t count = num_selected * row_words;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count;
       i += gridDim.x * int64_t{kThreads}) {
    const int64_t row = i / row_words;
    const int64_t word = i - row * row_words;
    out[row * out_stride + word] = x[indices[row] * in_stride + word];
  }
}

template <typename Word>
bool LaunchIfFits(const Context& context, const GatherRowsParams& params) {
  const int64_t element_bytes = DTypeBytes(params.x.dtype());
  const int64_t row_bytes = params.x.dim(1) * element_bytes;
  const int64_t in_stride_bytes = params.x.stride(0) * element_bytes;
  const int64_t out_stride_bytes = params.out.stride(0) * element_bytes;
  constexpr int64_t kWordBytes = sizeof(Word);
  if (row_bytes % kWordBytes != 0 || in_stride_bytes % kWordBytes != 0 ||
      out_stride_bytes % kWordBytes != 0 || !IsAligned(params.x.data(), kWordBytes) ||
      !IsAligned(params.out.data(), kWordBytes)) {
    return false;
  }
  const int64_t num_selected = params.out.dim(0);
  const int64_t row_words = row_bytes / kWordBytes;
  GatherRowsKernel<<<GridFor(num_selected * row_words, kThreads, context.num_multiprocessors),
                     kThreads, 0, context.stream>>>(
      static_cast<const Word*>(params.x.data()), in_stride_bytes / kWordBytes, params.indices,
      num_selected, row_words, static_cast<Word*>(params.out.data()),
      out_stride_bytes / kWordBytes);
  FASTKV_CHECK_LAUNCH("GatherRowsKernel");
  return true;
}

}  // namespace

void GatherRows(const Context& context, const GatherRowsParams& params) {
  FASTKV_CHECK(params.x.dtype() == params.out.dtype());
  FASTKV_CHECK_EQ(params.x.dim(1), params.out.dim(1));
  if (params.out.num_elements() == 0) return;
  if (LaunchIfFits<uint4>(context, params)) return;
  if (LaunchIfFits<uint16_t>(context, params)) return;
  FASTKV_CHECK(LaunchIfFits<uint8_t>(context, params));
}

}  // namespace fastkv::cuda
