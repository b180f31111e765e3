#include <cuda_runtime.h>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"
#include "backend/cuda/device_functions.cuh"
#include "backend/cuda/launch.h"

namespace fastkv::cuda {
namespace {

constexpr int kWarps = 8;

// Strides count words.
template <typename Word>
struct KernelParams {
  const Word* keys;
  const Word* values;
  Word* out_keys;
  Word* out_values;
  int64_t key_head_stride;
  int64_t key_stride;
  int64_t value_head_stride;
  int64_t value_stride;
  int64_t out_key_head_stride;
  int64_t out_key_stride;
  int64_t out_value_head_stride;
  int64_t out_value_stride;
  const int32_t* positions;
  const int32_t* indices;  // null: all entries in order
  int64_t indices_stride;
  int32_t* out_positions;
  int64_t out_positions_stride;
  int64_t num_selected;
  int row_words;
};

// One warp a selected entry; grid dimension y is the head.
template <typename Word>
__global__ void __launch_bounds__(kWarps* kWarpSize)
    GatherKvKernel(const __grid_constant__ KernelParams<Word> p) {
  const int lane = threadIdx.x % kWarpSize;
  const int64_t head = blockIdx.y;
  for (int64_t i = blockIdx.x * int64_t{kWarps} + threadIdx.x / kWarpSize; i < p.num_selected;
       i += gridDim.x * int64_t{kWarps}) {
    const int64_t source = p.indices == nullptr ? i : p.indices[head * p.indices_stride + i];
    const Word* key = p.keys + head * p.key_head_stride + source * p.key_stride;
    const Word* value = p.values + head * p.value_head_stride + source * p.value_stride;
    Word* out_key = p.out_keys + head * p.out_key_head_stride + i * p.out_key_stride;
    Word* out_value = p.out_values + head * p.out_value_head_stride + i * p.out_value_stride;
    // A row of 16-byte words fills half a warp: keys in the lower, values in the upper lanes.
    for (int word = lane; word < 2 * p.row_words; word += kWarpSize) {
      if (word < p.row_words) {
        out_key[word] = key[word];
      } else {
        out_value[word - p.row_words] = value[word - p.row_words];
      }
    }
    if (lane == 0) p.out_positions[head * p.out_positions_stride + i] = p.positions[source];
  }
}

template <typename Word>
bool LaunchIfFits(const Context& context, const GatherKvParams& params) {
  const int64_t element_bytes = DTypeBytes(params.keys.dtype());
  constexpr int64_t kWordBytes = sizeof(Word);
  bool fits = params.keys.dim(2) * element_bytes % kWordBytes == 0;
  const auto words = [&](const auto& view, int dimension) {
    const int64_t bytes = view.stride(dimension) * element_bytes;
    fits = fits && bytes % kWordBytes == 0 && IsAligned(view.data(), kWordBytes);
    return bytes / kWordBytes;
  };
  KernelParams<Word> p = {};
  p.keys = static_cast<const Word*>(params.keys.data());
  p.values = static_cast<const Word*>(params.values.data());
  p.out_keys = static_cast<Word*>(params.out_keys.data());
  p.out_values = static_cast<Word*>(params.out_values.data());
  p.key_head_stride = words(params.keys, 0);
  p.key_stride = words(params.keys, 1);
  p.value_head_stride = words(params.values, 0);
  p.value_stride = words(params.values, 1);
  p.out_key_head_stride = words(params.out_keys, 0);
  p.out_key_stride = words(params.out_keys, 1);
  p.out_value_head_stride = words(params.out_values, 0);
  p.out_value_stride = words(params.out_values, 1);
  p.positions = params.positions;
  if (!params.takes_all()) {
    p.indices = params.indices.As<int32_t>();
    p.indices_stride = params.indices.stride(0);
  }
  p.out_positions = params.out_positions.As<int32_t>();
  p.out_positions_stride = params.out_positions.stride(0);
  p.num_selected = params.num_selected();
  p.row_words = static_cast<int>(params.keys.dim(2) * element_bytes / kWordBytes);
  if (!fits) return false;
  const int64_t num_heads = params.keys.dim(0);
  const dim3 grid(GridFor(p.num_selected, kWarps, context.num_multiprocessors), GridX(num_heads));
  GatherKvKernel<<<grid, kWarps * kWarpSize, 0, context.stream>>>(p);
  FASTKV_CHECK_LAUNCH("GatherKvKernel");
  return true;
}

}  // namespace

void GatherKv(const Context& context, const GatherKvParams& params) {
  const int64_t num_heads = params.keys.dim(0);
  const int64_t num_selected = params.num_selected();
  const int64_t head_dim = params.keys.dim(2);
  FASTKV_CHECK(params.keys.dtype() == context.type);
  FASTKV_CHECK(params.values.dtype() == context.type);
  FASTKV_CHECK(params.out_keys.dtype() == context.type);
  FASTKV_CHECK(params.out_values.dtype() == context.type);
  FASTKV_CHECK(params.takes_all() || params.indices.dtype() == DType::kI32);
  FASTKV_CHECK(params.out_positions.dtype() == DType::kI32);
  FASTKV_CHECK(params.takes_all() || params.indices.dim(0) == num_heads);
  FASTKV_CHECK_EQ(params.out_keys.dim(0), num_heads);
  FASTKV_CHECK_EQ(params.out_keys.dim(1), num_selected);
  FASTKV_CHECK_EQ(params.out_keys.dim(2), head_dim);
  FASTKV_CHECK_LE(num_heads, kMaxGridY);
  if (num_heads * num_selected == 0) return;
  if (LaunchIfFits<uint4>(context, params)) return;
  FASTKV_CHECK(LaunchIfFits<uint16_t>(context, params));
}

}  // namespace fastkv::cuda
