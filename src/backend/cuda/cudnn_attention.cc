#include "backend/cuda/cudnn_attention.h"

#include <cudnn_frontend.h>

#include <array>
#include <bit>
#include <exception>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/shared_library.h"

namespace cudnn_frontend {
// Defined by the program that loads cuDNN itself.
void* cudnn_dlhandle = nullptr;
}  // namespace cudnn_frontend

namespace fastkv::cuda {
namespace {

namespace fe = cudnn_frontend;

constexpr size_t kOldestVersion = 90600;  // bottom-right causal masks at any length
constexpr size_t kMaxPlans = 64;
// A new plan costs 40 to 80 ms of the host's time. Below this many (row, entry) pairs a prompt's
// layers together gain less from it. The choice depends on sizes alone, so that a prompt always
// gives the same bits.
constexpr int64_t kFewestPairs = int64_t{1} << 25;

enum TensorId : int64_t { kQ = 1, kK = 2, kV = 3, kOut = 4 };

using Key = std::array<int64_t, 12>;

struct Plan {
  Key key;
  std::shared_ptr<fe::graph::Graph> graph;  // null: cuDNN does not take this problem
};

class FrontendAttention final : public CudnnAttention {
 public:
  explicit FrontendAttention(cudnnHandle_t handle, std::string description)
      : handle_(handle), description_(std::move(description)) {}
  ~FrontendAttention() override {
    plans_.clear();
    fe::detail::destroy_handle(handle_);
  }

  const std::string& description() const override { return description_; }

  bool Run(const Context& context, const PrefillAttentionParams& params) override {
    const int64_t q_len = params.q.dim(0);
    const int64_t head_dim = params.q.dim(2);
    const int64_t kv_len = params.q_start + q_len;
    if (context.type != DType::kBF16 || params.window > 0 || !params.log_sum_exp.empty() ||
        (head_dim != 64 && head_dim != 128) || q_len * kv_len < kFewestPairs ||
        !IsAligned(params.q.data(), 16) || !IsAligned(params.keys.data(), 16) ||
        !IsAligned(params.values.data(), 16) || !IsAligned(params.out.data(), 16) ||
        params.q.stride(0) % 8 != 0 || params.out.stride(0) % 8 != 0 ||
        params.keys.stride(0) % 8 != 0 || params.values.stride(0) % 8 != 0) {
      return false;
    }
    // The frontend reports most failures as values, and some by throwing.
    try {
      const Plan& plan = FindPlan(context, params);
      if (plan.graph == nullptr) return false;
      std::unordered_map<int64_t, void*> tensors = {
          {kQ, const_cast<void*>(params.q.data())},
          {kK, const_cast<void*>(params.keys.data())},
          {kV, const_cast<void*>(params.values.data())},
          {kOut, params.out.data()},
      };
      const fe::error_t error = plan.graph->execute(handle_, tensors, context.scratch);
      if (error.is_good()) return true;
    } catch (const std::exception&) {
    }
    FASTKV_CUDA_CHECK(cudaPeekAtLastError());
    return false;
  }

 private:
  const Plan& FindPlan(const Context& context, const PrefillAttentionParams& params) {
    const Key key = {
        params.q.dim(0),         params.q_start,        params.q.dim(1),
        params.keys.dim(0),      params.q.dim(2),       params.q.stride(0),
        params.keys.stride(0),   params.keys.stride(1), params.values.stride(0),
        params.values.stride(1), params.out.stride(0),  std::bit_cast<int32_t>(params.scale)};
    for (auto plan = plans_.begin(); plan != plans_.end(); ++plan) {
      if (plan->key != key) continue;
      plans_.splice(plans_.begin(), plans_, plan);
      return plans_.front();
    }
    if (plans_.size() >= kMaxPlans) plans_.pop_back();
    plans_.push_front({key, Build(context, params)});
    return plans_.front();
  }

  std::shared_ptr<fe::graph::Graph> Build(const Context& context,
                                          const PrefillAttentionParams& params) {
    const int64_t q_len = params.q.dim(0);
    const int64_t kv_len = params.q_start + q_len;
    const int64_t num_q_heads = params.q.dim(1);
    const int64_t num_kv_heads = params.keys.dim(0);
    const int64_t head_dim = params.q.dim(2);
    auto graph = std::make_shared<fe::graph::Graph>();
    graph->set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    // cuDNN's order: batch, heads, rows, components.
    const auto tensor = [&](TensorId id, const char* name, int64_t heads, int64_t rows,
                            int64_t head_stride, int64_t row_stride) {
      return graph->tensor(fe::graph::Tensor_attributes()
                               .set_name(name)
                               .set_uid(id)
                               .set_dim({1, heads, rows, head_dim})
                               .set_stride({heads * rows * head_dim, head_stride, row_stride, 1}));
    };
    auto q = tensor(kQ, "q", num_q_heads, q_len, head_dim, params.q.stride(0));
    auto k = tensor(kK, "k", num_kv_heads, kv_len, params.keys.stride(0), params.keys.stride(1));
    auto v =
        tensor(kV, "v", num_kv_heads, kv_len, params.values.stride(0), params.values.stride(1));
    auto options = fe::graph::SDPA_attributes()
                       .set_name("prefill")
                       .set_generate_stats(false)
                       .set_attn_scale(params.scale)
                       .set_diagonal_band_right_bound(0);
    options.set_diagonal_alignment(params.q_start == 0 ? fe::DiagonalAlignment_t::TOP_LEFT
                                                       : fe::DiagonalAlignment_t::BOTTOM_RIGHT);
    auto [out, stats] = graph->sdpa(q, k, v, options);
    out->set_output(true)
        .set_uid(kOut)
        .set_dim({1, num_q_heads, q_len, head_dim})
        .set_stride({q_len * params.out.stride(0), head_dim, params.out.stride(0), 1});
    if (graph->build(handle_, {fe::HeurMode_t::A}).is_bad()) return nullptr;
    int64_t workspace_bytes = 0;
    if (graph->get_workspace_size(workspace_bytes).is_bad() ||
        workspace_bytes > context.scratch_bytes) {
      return nullptr;
    }
    if (fe::detail::set_stream(handle_, context.stream) != CUDNN_STATUS_SUCCESS) return nullptr;
    return graph;
  }

  cudnnHandle_t handle_;
  std::string description_;
  std::list<Plan> plans_;  // the most recently used first
};

}  // namespace

std::unique_ptr<CudnnAttention> CreateCudnnAttention(std::string* reason) {
  if (fe::cudnn_dlhandle == nullptr) {
    fe::cudnn_dlhandle = OpenLibrary("libcudnn.so." + std::to_string(CUDNN_MAJOR), reason);
  }
  if (fe::cudnn_dlhandle == nullptr) return nullptr;
  try {
    const size_t version = fe::detail::get_backend_version();
    const std::string description = "cuDNN " + std::to_string(version / 10000) + "." +
                                    std::to_string(version / 100 % 100) + "." +
                                    std::to_string(version % 100);
    if (version < kOldestVersion) {
      *reason = description + " is older than 9.6";
      return nullptr;
    }
    cudnnHandle_t handle = nullptr;
    const cudnnStatus_t status = fe::detail::create_handle(&handle);
    if (status != CUDNN_STATUS_SUCCESS) {
      *reason = description + " did not start: " + fe::detail::get_error_string(status);
      return nullptr;
    }
    return std::make_unique<FrontendAttention>(handle, description);
  } catch (const std::exception& error) {
    *reason = error.what();
    return nullptr;
  }
}

}  // namespace fastkv::cuda
