// First and second moments of the queries before rotary embedding. The second ones are a product of
// the queries with themselves, X^T X, head by head.
#include <algorithm>

#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/limits.h"
#include "base/parallel_for.h"

namespace fastkv::cpu {
namespace {

constexpr int64_t kBufferFloats = 64 * 1024;
constexpr int64_t kMaxRows = 256;
constexpr int64_t kPanelMultiple = 32;  // a multiple of every level's panel width
static_assert(4 * kBufferFloats + limits::kMaxHeadDim <= Context::kThreadScratchFloats);

// Rows [first, first + count) of the products of one head.
class MomentTask {
 public:
  MomentTask(const Context& context, const QueryMomentsParams& params, int thread)
      : kernels_(context.kernels()),
        params_(params),
        head_dim_(params.sum.dim(1)),
        padded_dim_(RoundUp(head_dim_, kPanelMultiple)),
        // Queries at once; head_dim alone decides, so that no other size changes a result.
        block_(std::min(kMaxRows, kBufferFloats / padded_dim_ / kPanelMultiple * kPanelMultiple)) {
    queries_ = context.ThreadScratch(thread);
    transposed_ = queries_ + kBufferFloats;
    panels_ = transposed_ + kBufferFloats;
    products_ = panels_ + kBufferFloats;
    sum_ = products_ + kBufferFloats;
  }

  void Run(int64_t head, int64_t first, int64_t count) {
    const int64_t num_tokens = params_.qkv.dim(0);
    for (int64_t token = 0; token < num_tokens; token += block_) {
      const int64_t num_rows = std::min(block_, num_tokens - token);
      LoadQueries(head, token, num_rows);
      if (first == 0) AddSum(head, num_rows);
      AddProducts(head, first, count, num_rows);
    }
  }

 private:
  void LoadQueries(int64_t head, int64_t token, int64_t num_rows) {
    const int64_t offset = token * params_.qkv.stride(0) + head * head_dim_;
    const DType type = params_.qkv.dtype();
    kernels_.expand_rows(static_cast<const char*>(params_.qkv.data()) + offset * DTypeBytes(type),
                         type, params_.qkv.stride(0), num_rows, head_dim_, queries_, head_dim_);
    if (params_.q_norm_weight.empty()) return;
    for (int64_t i = 0; i < num_rows; ++i) {
      float* const query = queries_ + i * head_dim_;
      RmsNormRow(query, params_.q_norm_weight.As<float>(), params_.norm_epsilon, head_dim_, query);
    }
  }

  void AddSum(int64_t head, int64_t num_rows) {
    std::fill_n(sum_, head_dim_, 0.0f);
    for (int64_t i = 0; i < num_rows; ++i) AddTo(sum_, queries_ + i * head_dim_, head_dim_);
    AddTo(params_.sum.As<float>() + head * params_.sum.stride(0), sum_, head_dim_);
  }

  void AddProducts(int64_t head, int64_t first, int64_t count, int64_t num_rows) {
    const int64_t width = kernels_.panel_width;
    // Panels of `width` queries turned over: [head_dim, width] each, the left factor of that depth.
    kernels_.pack_transposed(queries_, DType::kF32, head_dim_, num_rows, head_dim_, transposed_);
    kernels_.pack_panels(queries_, DType::kF32, head_dim_, head_dim_, num_rows, panels_);
    for (int64_t i = 0; i < num_rows; i += width) {
      kernels_.gemm({.a = transposed_ + i * head_dim_ + first * width,
                     .a_stride = width,
                     .b_panels = panels_ + i * width,
                     .b_panel_stride = num_rows * width,
                     .num_rows = count,
                     .num_panels = CeilDivide(head_dim_, width),
                     .depth = std::min(width, num_rows - i),
                     .c = products_,
                     .c_stride = padded_dim_,
                     .accumulate = i > 0});
    }
    for (int64_t c = 0; c < count; ++c) {
      AddTo(params_.products.As<float>() + head * params_.products.stride(0) +
                (first + c) * params_.products.stride(1),
            products_ + c * padded_dim_, head_dim_);
    }
  }

  const Kernels& kernels_;
  const QueryMomentsParams& params_;
  int64_t head_dim_;
  int64_t padded_dim_;
  int64_t block_;
  float* queries_;     // [block, head_dim]
  float* transposed_;  // panels
  float* panels_;      // panels
  float* products_;    // [count, padded_dim]
  float* sum_;         // [head_dim]
};

}  // namespace

void QueryMoments(const Context& context, const QueryMomentsParams& params) {
  const int64_t num_q_heads = params.sum.dim(0);
  const int64_t head_dim = params.sum.dim(1);
  FASTKV_CHECK(params.qkv.dtype() == context.types().activation);
  FASTKV_CHECK(params.sum.dtype() == DType::kF32);
  FASTKV_CHECK(params.products.dtype() == DType::kF32);
  FASTKV_CHECK_LE(head_dim, limits::kMaxHeadDim);
  FASTKV_CHECK_LE(num_q_heads * head_dim, params.qkv.dim(1));
  FASTKV_CHECK_EQ(params.products.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.products.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.products.dim(2), head_dim);
  // Cutting a head's products costs its queries' preparation again, so it is done only where there
  // are more threads than heads.
  constexpr int64_t kMinTaskRows = 32;
  int64_t task_rows = std::min(head_dim, kBufferFloats / RoundUp(head_dim, kPanelMultiple));
  while (num_q_heads * CeilDivide(head_dim, task_rows) < context.num_threads() &&
         task_rows > kMinTaskRows) {
    task_rows = CeilDivide(task_rows, 2);
  }
  const int64_t tasks_a_head = CeilDivide(head_dim, task_rows);
  ParallelFor(context.num_threads(), num_q_heads * tasks_a_head, [&](int64_t t, int thread) {
    const int64_t first = t % tasks_a_head * task_rows;
    MomentTask(context, params, thread)
        .Run(t / tasks_a_head, first, std::min(task_rows, head_dim - first));
  });
}

}  // namespace fastkv::cpu
