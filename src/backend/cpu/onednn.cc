#include "backend/cpu/onednn.h"

#include <algorithm>
#include <string>
#include <utility>

#if defined(FASTKV_HAVE_ONEDNN)
#include <oneapi/dnnl/dnnl.hpp>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace fastkv::cpu {

#if defined(FASTKV_HAVE_ONEDNN)

struct OneDnnProduct::State {
  int num_threads = 1;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::matmul product;
  dnnl::memory left, right, result;
};

namespace {

// oneDNN speaks of its failures in exceptions; they end here.
template <typename Function>
Status CatchingErrors(const Function& function) {
  try {
    function();
  } catch (const dnnl::error& error) {
    const std::string message = std::string("oneDNN: ") + error.what();
    if (error.status == dnnl_out_of_memory) return MemoryError(message);
    return UnsupportedError(message);
  }
  return OkStatus();
}

dnnl::matmul::primitive_desc Description(const dnnl::engine& engine, const dnnl::memory::desc& left,
                                         const dnnl::memory::desc& right,
                                         const dnnl::memory::desc& result) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul::primitive_desc(engine, left, right, result);
#else
  return dnnl::matmul::primitive_desc(dnnl::matmul::desc(left, right, result), engine);
#endif
}

}  // namespace

Result<OneDnnProduct> OneDnnProduct::Create(DType type, int64_t size, int num_threads) {
  std::unique_ptr<State> state;
  FASTKV_RETURN_IF_ERROR(CatchingErrors([&] {
    using Layout = dnnl::memory::format_tag;
    state = std::make_unique<State>();
    state->num_threads = num_threads;
    const auto element =
        type == DType::kBF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
    const dnnl::memory::desc left({size, size}, element, Layout::ab);
    const dnnl::memory::desc right({size, size}, element, Layout::any);
    const dnnl::memory::desc result({size, size}, dnnl::memory::data_type::f32, Layout::ab);
    const dnnl::matmul::primitive_desc description =
        Description(state->engine, left, right, result);
    state->product = dnnl::matmul(description);
    const auto ones = [&](const dnnl::memory::desc& desc) {
      dnnl::memory memory(desc, state->engine);
      // Two bf16 ones side by side are also a float near one.
      auto* words = static_cast<uint32_t*>(memory.get_data_handle());
      std::fill_n(words, desc.get_size() / sizeof(uint32_t), 0x3f803f80u);
      return memory;
    };
    state->left = ones(description.src_desc());
    state->right = ones(description.weights_desc());
    state->result = ones(description.dst_desc());
  }));
  return OneDnnProduct(std::move(state));
}

void OneDnnProduct::Run() {
#if defined(_OPENMP)
  const int threads_before = omp_get_max_threads();
  omp_set_num_threads(state_->num_threads);
#endif
  state_->product.execute(state_->stream, {{DNNL_ARG_SRC, state_->left},
                                           {DNNL_ARG_WEIGHTS, state_->right},
                                           {DNNL_ARG_DST, state_->result}});
  state_->stream.wait();
#if defined(_OPENMP)
  omp_set_num_threads(threads_before);
#endif
}

#else

struct OneDnnProduct::State {};

Result<OneDnnProduct> OneDnnProduct::Create(DType, int64_t, int) {
  return UnsupportedError(
      "this build has no oneDNN to measure with; install libdnnl-dev and build again");
}

void OneDnnProduct::Run() {}

#endif

OneDnnProduct::OneDnnProduct(std::unique_ptr<State> state) : state_(std::move(state)) {}
OneDnnProduct::OneDnnProduct(OneDnnProduct&&) noexcept = default;
OneDnnProduct::~OneDnnProduct() = default;

}  // namespace fastkv::cpu
