// Copies of selected rows and entries.
#include <cstring>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
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

void CheckTypes(const ConstTensorView& rows, const ConstTensorView& scales, DType kv) {
  FASTKV_CHECK(rows.dtype() == (scales.rank() == 0 ? kv : DType::kI8));
}

// The key or value of one entry, [head_dim], and its scale where it is in integers.
template <typename Data, typename Scale>
struct EntryVector {
  Data* data = nullptr;
  DType dtype = DType::kF32;
  int64_t head_dim = 0;
  Scale* scale = nullptr;
};

template <typename Data, typename Scale, typename View>
EntryVector<Data, Scale> EntryVectorAt(const View& rows, const View& scales, int64_t head,
                                       int64_t entry) {
  const auto vector = rows.Slice(0, head, head + 1).Slice(1, entry, entry + 1);
  EntryVector<Data, Scale> at{
      .data = vector.data(), .dtype = rows.dtype(), .head_dim = rows.dim(2)};
  if (!scales.empty()) at.scale = scales.template As<float>() + head * scales.stride(0) + entry;
  return at;
}

using StoredVector = EntryVector<const void, const float>;
using OutVector = EntryVector<void, float>;

StoredVector VectorAt(const ConstTensorView& rows, const ConstTensorView& scales, int64_t head,
                      int64_t entry) {
  return EntryVectorAt<const void, const float>(rows, scales, head, entry);
}
OutVector VectorAt(const TensorView& rows, const TensorView& scales, int64_t head, int64_t entry) {
  return EntryVectorAt<void, float>(rows, scales, head, entry);
}

void CopyVector(const Context& context, const StoredVector& from, const OutVector& to,
                float* scratch) {
  const int64_t count = from.head_dim;
  if (from.dtype == to.dtype) {
    std::memcpy(to.data, from.data, static_cast<size_t>(count * DTypeBytes(from.dtype)));
    if (to.scale != nullptr) *to.scale = *from.scale;
  } else if (to.scale != nullptr) {
    // The kernel fills a row up with zeros, which would lie in the next entry.
    auto* const integers = reinterpret_cast<int8_t*>(scratch);
    context.kernels().quantize_row(from.data, from.dtype, count, integers, to.scale);
    std::memcpy(to.data, integers, static_cast<size_t>(count));
  } else if (to.dtype == DType::kF32) {
    ScaledInt8ToFloats(static_cast<const int8_t*>(from.data), *from.scale, count,
                       static_cast<float*>(to.data));
  } else {
    ScaledInt8ToFloats(static_cast<const int8_t*>(from.data), *from.scale, count, scratch);
    FloatsToBFloat16(scratch, static_cast<BFloat16*>(to.data), count);
  }
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
  const int64_t num_selected = params.num_selected();
  CheckTypes(params.keys, params.key_scales, context.types().kv);
  CheckTypes(params.values, params.value_scales, context.types().kv);
  CheckTypes(params.out_keys, params.out_key_scales, context.types().kv);
  CheckTypes(params.out_values, params.out_value_scales, context.types().kv);
  FASTKV_CHECK(params.takes_all() || params.indices.dtype() == DType::kI32);
  FASTKV_CHECK(params.out_positions.dtype() == DType::kI32);
  FASTKV_CHECK_EQ(params.out_keys.dim(1), num_selected);
  FASTKV_CHECK_EQ(params.out_values.dim(1), num_selected);
  const int64_t num_rows = num_kv_heads * num_selected;
  context.ForRows(num_rows, 2 * head_dim, [&](int64_t begin, int64_t end, int thread) {
    float* const scratch = context.ThreadScratch(thread);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t a = row / num_selected;
      const int64_t i = row % num_selected;
      const int64_t source =
          params.takes_all() ? i : params.indices.As<int32_t>()[a * params.indices.stride(0) + i];
      FASTKV_CHECK_LE(0, source);
      FASTKV_CHECK_LT(source, kv_len);
      CopyVector(context, VectorAt(params.keys, params.key_scales, a, source),
                 VectorAt(params.out_keys, params.out_key_scales, a, i), scratch);
      CopyVector(context, VectorAt(params.values, params.value_scales, a, source),
                 VectorAt(params.out_values, params.out_value_scales, a, i), scratch);
      params.out_positions.As<int32_t>()[a * params.out_positions.stride(0) + i] =
          params.positions[source];
    }
  });
}

}  // namespace fastkv::cpu
