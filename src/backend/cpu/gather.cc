// Copies of selected rows.
#include <cstring>

#include "backend/cpu/operations.h"
#include "base/check.h"

namespace fastkv::cpu {
namespace {

// Copies `count` elements at `from` (elements) of one view to `to` of the other.
void CopyElements(const ConstTensorView& source, int64_t from, const TensorView& target, int64_t to,
                  int64_t count) {
  const int64_t element_bytes = DTypeBytes(source.dtype());
  std::memcpy(static_cast<char*>(target.data()) + to * element_bytes,
              static_cast<const char*>(source.data()) + from * element_bytes,
              static_cast<size_t>(count * element_bytes));
}

}  // namespace

void GatherRows(const Context& context, const GatherRowsParams& params) {
  const int64_t num_columns = params.x.dim(1);
  FASTKV_CHECK(params.x.dtype() == params.out.dtype());
  FASTKV_CHECK_EQ(params.out.dim(1), num_columns);
  context.ForRows(params.out.dim(0), num_columns, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t source = params.indices[i];
      FASTKV_CHECK_LE(0, source);
      FASTKV_CHECK_LT(source, params.x.dim(0));
      CopyElements(params.x, source * params.x.stride(0), params.out, i * params.out.stride(0),
                   num_columns);
    }
  });
}

void GatherKv(const Context& context, const GatherKvParams& params) {
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t head_dim = params.keys.dim(2);
  const int64_t num_selected = params.indices.dim(1);
  FASTKV_CHECK(params.keys.dtype() == params.out_keys.dtype());
  FASTKV_CHECK(params.values.dtype() == params.out_values.dtype());
  FASTKV_CHECK(params.indices.dtype() == DType::kI32);
  FASTKV_CHECK(params.out_positions.dtype() == DType::kI32);
  FASTKV_CHECK_EQ(params.out_keys.dim(1), num_selected);
  FASTKV_CHECK_EQ(params.out_values.dim(1), num_selected);
  const int64_t num_rows = num_kv_heads * num_selected;
  context.ForRows(num_rows, 2 * head_dim, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t a = row / num_selected;
      const int64_t i = row % num_selected;
      const int64_t source = params.indices.As<int32_t>()[a * params.indices.stride(0) + i];
      FASTKV_CHECK_LE(0, source);
      FASTKV_CHECK_LT(source, kv_len);
      CopyElements(params.keys, a * params.keys.stride(0) + source * params.keys.stride(1),
                   params.out_keys, a * params.out_keys.stride(0) + i * params.out_keys.stride(1),
                   head_dim);
      CopyElements(params.values, a * params.values.stride(0) + source * params.values.stride(1),
                   params.out_values,
                   a * params.out_values.stride(0) + i * params.out_values.stride(1), head_dim);
      params.out_positions.As<int32_t>()[a * params.out_positions.stride(0) + i] =
          params.positions[source];
    }
  });
}

}  // namespace fastkv::cpu
