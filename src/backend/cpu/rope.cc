// The table of rotations, and the step that takes the fused projection apart with it.
#include <algorithm>
#include <array>
#include <cmath>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/limits.h"

namespace fastkv::cpu {
namespace {

// One head of one token on its way from the projection to its place.
class HeadMover {
 public:
  HeadMover(const Context& context, const StoreQkvParams& params)
      : kernels_(context.kernels()), params_(params), head_dim_(params.keys.dim(2)) {}

  // Moves the head at `index` (elements) of qkv to `offset` of `to`. With `rotated`, it is first
  // normalised (where `norm_weight` is not null) and rotated by row `token` of cos_sin.
  void Move(int64_t index, bool rotated, const float* norm_weight, int64_t token,
            const TensorView& to, int64_t offset) {
    const ConstTensorView& from = params_.qkv;
    const char* source = static_cast<const char*>(from.data()) + index * DTypeBytes(from.dtype());
    float* head = head_.data();
    kernels_.expand_rows(source, from.dtype(), head_dim_, 1, head_dim_, head, head_dim_);
    if (rotated) {
      if (norm_weight != nullptr) {
        RmsNormRow(head, norm_weight, params_.norm_epsilon, head_dim_, head);
      }
      const float* cos_sin = params_.cos_sin.As<float>() + token * params_.cos_sin.stride(0);
      RotateHead(head, cos_sin, head_dim_ / 2);
    }
    if (to.dtype() == DType::kF32) {
      std::copy_n(head, head_dim_, to.As<float>() + offset);
    } else {
      FloatsToBFloat16(head, to.As<BFloat16>() + offset, head_dim_);
    }
  }

 private:
  const Kernels& kernels_;
  const StoreQkvParams& params_;
  int64_t head_dim_;
  std::array<float, limits::kMaxHeadDim> head_;
};

}  // namespace

void RopeTable(const Context& context, const RopeTableParams& params) {
  const int64_t half = params.inverse_frequencies.dim(0);
  FASTKV_CHECK(params.inverse_frequencies.dtype() == DType::kF32);
  FASTKV_CHECK(params.cos_sin.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.cos_sin.dim(1), 2 * half);
  const auto* frequencies = params.inverse_frequencies.As<float>();
  // The C library's double functions: angles reach millions of radians, beyond the range reduction
  // of fast vector code, and a table serves a whole prompt.
  context.ForRows(params.cos_sin.dim(0), 64 * half, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = params.cos_sin.As<float>() + i * params.cos_sin.stride(0);
      for (int64_t c = 0; c < half; ++c) {
        const double angle = static_cast<float>(params.positions[i]) * frequencies[c];
        row[c] = static_cast<float>(std::cos(angle) * params.attention_factor);
        row[half + c] = static_cast<float>(std::sin(angle) * params.attention_factor);
      }
    }
  });
}

void StoreQkv(const Context& context, const StoreQkvParams& params) {
  const int64_t num_tokens = params.qkv.dim(0);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t head_dim = params.keys.dim(2);
  const int64_t num_q_heads = params.q.empty() ? 0 : params.q.dim(1);
  FASTKV_CHECK(params.qkv.dtype() == context.types().activation);
  FASTKV_CHECK(params.keys.dtype() == context.types().kv);
  FASTKV_CHECK(params.values.dtype() == context.types().kv);
  FASTKV_CHECK_LE(head_dim, limits::kMaxHeadDim);
  FASTKV_CHECK_EQ(params.qkv.dim(1), (num_q_heads + 2 * num_kv_heads) * head_dim);
  FASTKV_CHECK_EQ(params.keys.dim(1), num_tokens);
  FASTKV_CHECK_EQ(params.values.dim(1), num_tokens);
  FASTKV_CHECK_EQ(params.cos_sin.dim(1), head_dim);
  const auto* q_norm = params.q_norm_weight.empty() ? nullptr : params.q_norm_weight.As<float>();
  const auto* k_norm = params.k_norm_weight.empty() ? nullptr : params.k_norm_weight.As<float>();
  context.ForRows(num_tokens, 2 * params.qkv.dim(1), [&](int64_t begin, int64_t end, int) {
    HeadMover mover(context, params);
    for (int64_t i = begin; i < end; ++i) {
      int64_t from = i * params.qkv.stride(0);
      for (int64_t h = 0; h < num_q_heads; ++h, from += head_dim) {
        mover.Move(from, true, q_norm, i, params.q,
                   i * params.q.stride(0) + h * params.q.stride(1));
      }
      for (int64_t a = 0; a < num_kv_heads; ++a, from += head_dim) {
        mover.Move(from, true, k_norm, i, params.keys,
                   a * params.keys.stride(0) + i * params.keys.stride(1));
      }
      for (int64_t a = 0; a < num_kv_heads; ++a, from += head_dim) {
        mover.Move(from, false, nullptr, i, params.values,
                   a * params.values.stride(0) + i * params.values.stride(1));
      }
    }
  });
}

}  // namespace fastkv::cpu
