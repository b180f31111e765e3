#include "backend/cuda/mat_mul_engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backend/cuda/cuda_check.h"
#include "backend/cuda/launch.h"
#include "base/check.h"
#include "base/checked_math.h"

namespace fastkv::cuda {
namespace {

// More distinct problems than one run has; then choosing starts afresh.
constexpr size_t kMaxPlans = 4096;
constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;  // what Hopper's kernels ask for at most

cudaDataType_t CudaType(DType dtype) { return dtype == DType::kBF16 ? CUDA_R_16BF : CUDA_R_32F; }

int64_t AlignmentOf(const void* data) {
  constexpr int64_t kMost = 256;
  const auto address = reinterpret_cast<uintptr_t>(data);
  for (int64_t bytes = kMost; bytes > 1; bytes /= 2) {
    if (address % static_cast<uintptr_t>(bytes) == 0) return bytes;
  }
  return 1;
}

void CheckCublas(const CublasLt& library, cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  // A device that failed earlier is reported here first, as its own error.
  FASTKV_CUDA_CHECK(cudaPeekAtLastError());
  FASTKV_CHECK_MSG(false,
                   (std::string(what) + ": " + library.cublasLtGetStatusString(status)).c_str());
}

// Owns one of cuBLASLt's descriptors.
template <typename Handle>
class Owned {
 public:
  Owned() = default;
  Owned(Handle handle, cublasStatus_t (*destroy)(Handle)) : handle_(handle), destroy_(destroy) {}
  Owned(Owned&& other) noexcept { *this = std::move(other); }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(destroy_, other.destroy_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) destroy_(handle_);
  }
  Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
  cublasStatus_t (*destroy_)(Handle) = nullptr;
};

}  // namespace

// In cuBLASLt's column-major terms: out^T [n, m] = weight [n, k] x^T [k, m].
struct MatMulEngine::Problem {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  DType type = DType::kF32;
  DType out_type = DType::kF32;
  int64_t x_alignment = 1;
  int64_t weight_alignment = 1;
  int64_t out_alignment = 1;
  bool has_bias = false;  // float32
  bool accumulate = false;
  int64_t workspace_bytes = 0;

  Key ToKey() const {
    return {m,
            n,
            k,
            x_stride,
            out_stride,
            static_cast<int64_t>(type),
            static_cast<int64_t>(out_type),
            x_alignment * 1024 * 1024 + weight_alignment * 1024 + out_alignment,
            has_bias,
            accumulate,
            workspace_bytes};
  }
};

struct MatMulEngine::Plan {
  bool usable = false;  // cuBLASLt has an algorithm
  Owned<cublasLtMatmulDesc_t> product;
  Owned<cublasLtMatrixLayout_t> weight;
  Owned<cublasLtMatrixLayout_t> x;
  Owned<cublasLtMatrixLayout_t> out;
  cublasLtMatmulAlgo_t algorithm;
};

Result<std::unique_ptr<MatMulEngine>> MatMulEngine::Create() {
  FASTKV_ASSIGN_OR_RETURN(const CublasLt* library, LoadCublasLt());
  std::unique_ptr<MatMulEngine> engine(new MatMulEngine(*library));
  const cublasStatus_t status = library->cublasLtCreate(&engine->handle_);
  if (status != CUBLAS_STATUS_SUCCESS) {
    return DeviceError(std::string("cuBLASLt did not start: ") +
                       library->cublasLtGetStatusString(status));
  }
  return engine;
}

MatMulEngine::~MatMulEngine() {
  plans_.clear();
  if (handle_ != nullptr) library_.cublasLtDestroy(handle_);
}

int64_t MatMulEngine::library_version() const {
  return static_cast<int64_t>(library_.cublasLtGetVersion());
}

MatMulEngine::MatMulEngine(const CublasLt& library) : library_(library) {}

const MatMulEngine::Plan& MatMulEngine::FindPlan(const Problem& problem) {
  const Key key = problem.ToKey();
  const auto found = plans_.find(key);
  if (found != plans_.end()) return *found->second;
  if (plans_.size() >= kMaxPlans) plans_.clear();

  auto owned_plan = std::make_unique<Plan>();
  Plan& plan = *owned_plan;
  const cublasComputeType_t compute =
      problem.type == DType::kF32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F;
  cublasLtMatmulDesc_t product = nullptr;
  CheckCublas(library_, library_.cublasLtMatmulDescCreate(&product, compute, CUDA_R_32F),
              "cublasLtMatmulDescCreate");
  plan.product = {product, library_.cublasLtMatmulDescDestroy};
  const auto set_product = [&](cublasLtMatmulDescAttributes_t attribute, auto value) {
    CheckCublas(library_,
                library_.cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof(value)),
                "cublasLtMatmulDescSetAttribute");
  };
  set_product(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  if (problem.has_bias) {
    set_product(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set_product(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
  }

  const auto make_layout = [&](DType dtype, int64_t rows, int64_t columns, int64_t stride) {
    cublasLtMatrixLayout_t layout = nullptr;
    CheckCublas(
        library_,
        library_.cublasLtMatrixLayoutCreate(&layout, CudaType(dtype), static_cast<uint64_t>(rows),
                                            static_cast<uint64_t>(columns), stride),
        "cublasLtMatrixLayoutCreate");
    return Owned<cublasLtMatrixLayout_t>(layout, library_.cublasLtMatrixLayoutDestroy);
  };
  plan.weight = make_layout(problem.type, problem.k, problem.n, problem.k);
  plan.x = make_layout(problem.type, problem.k, problem.m, problem.x_stride);
  plan.out = make_layout(problem.out_type, problem.n, problem.m, problem.out_stride);

  cublasLtMatmulPreference_t preference = nullptr;
  CheckCublas(library_, library_.cublasLtMatmulPreferenceCreate(&preference),
              "cublasLtMatmulPreferenceCreate");
  const Owned<cublasLtMatmulPreference_t> owned_preference(
      preference, library_.cublasLtMatmulPreferenceDestroy);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    CheckCublas(
        library_,
        library_.cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
        "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(problem.workspace_bytes));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
         static_cast<uint32_t>(problem.weight_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(problem.x_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(problem.out_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(problem.out_alignment));

  cublasLtMatmulHeuristicResult_t result = {};
  int num_results = 0;
  const cublasStatus_t status = library_.cublasLtMatmulAlgoGetHeuristic(
      handle_, product, plan.weight.get(), plan.x.get(), plan.out.get(), plan.out.get(), preference,
      1, &result, &num_results);
  plan.usable =
      status == CUBLAS_STATUS_SUCCESS && num_results > 0 && result.state == CUBLAS_STATUS_SUCCESS;
  plan.algorithm = result.algo;
  return *plans_.emplace(key, std::move(owned_plan)).first->second;
}

void MatMulEngine::Run(const Context& context, const MatMulArguments& arguments) {
  const int64_t num_tokens = arguments.x.dim(0);
  const int64_t out_features = arguments.weight.dim(0);
  const DType out_type = arguments.out.dtype();
  FASTKV_CHECK(arguments.x.dtype() == context.type);
  FASTKV_CHECK(arguments.weight.dtype() == context.type);
  FASTKV_CHECK(out_type == context.type || out_type == DType::kF32);
  FASTKV_CHECK(!arguments.accumulate || out_type == DType::kF32);
  FASTKV_CHECK_EQ(arguments.x.dim(1), arguments.weight.dim(1));
  FASTKV_CHECK_EQ(arguments.out.dim(0), num_tokens);
  FASTKV_CHECK_EQ(arguments.out.dim(1), out_features);
  if (!arguments.bias.empty()) {
    FASTKV_CHECK(arguments.bias.dtype() == DType::kF32);
    FASTKV_CHECK_EQ(arguments.bias.dim(0), out_features);
  }
  if (num_tokens == 0 || out_features == 0) return;
  if (MatVecFits(context, arguments)) {
    MatVec(context, arguments);
  } else {
    RunLibrary(context, arguments);
  }
}

void MatMulEngine::RunLibrary(const Context& context, const MatMulArguments& arguments) {
  const int64_t num_tokens = arguments.x.dim(0);
  const int64_t out_features = arguments.weight.dim(0);
  const DType out_type = arguments.out.dtype();
  if (arguments.bias.empty() || out_type == DType::kF32) {
    if (!Multiply(context, arguments, 0)) PlainMatMul(context, arguments);
    return;
  }
  // cuBLASLt would round the bias to bfloat16 first: the product goes to scratch memory in float32,
  // some rows at a time, and is rounded once with its bias.
  constexpr int64_t kRowMultiple = 256;  // whole tiles
  const int64_t row_bytes = out_features * int64_t{sizeof(float)};
  const int64_t most_rows = context.scratch_bytes / 3 * 2 / row_bytes / kRowMultiple * kRowMultiple;
  const int64_t rows = std::min(num_tokens, most_rows);
  for (int64_t begin = 0; begin < num_tokens && rows > 0; begin += rows) {
    const int64_t end = std::min(num_tokens, begin + rows);
    MatMulArguments part = arguments;
    part.x = arguments.x.Rows(begin, end);
    part.bias = {};
    part.out = TensorView(context.scratch, DType::kF32, {end - begin, out_features});
    if (!Multiply(context, part, part.out.num_elements() * int64_t{sizeof(float)})) {
      PlainMatMul(context, arguments);
      return;
    }
    AddBiasAndRound(context, part.out, arguments.bias, arguments.out.Rows(begin, end));
  }
  if (rows == 0) PlainMatMul(context, arguments);
}

bool MatMulEngine::Multiply(const Context& context, const MatMulArguments& arguments,
                            int64_t used_scratch_bytes) {
  Problem problem;
  problem.m = arguments.x.dim(0);
  problem.n = arguments.weight.dim(0);
  problem.k = arguments.weight.dim(1);
  problem.x_stride = arguments.x.stride(0);
  problem.out_stride = arguments.out.stride(0);
  problem.type = context.type;
  problem.out_type = arguments.out.dtype();
  problem.x_alignment = AlignmentOf(arguments.x.data());
  problem.weight_alignment = AlignmentOf(arguments.weight.data());
  problem.out_alignment = AlignmentOf(arguments.out.data());
  problem.has_bias = !arguments.bias.empty();
  problem.accumulate = arguments.accumulate;
  const int64_t workspace_offset = RoundUp(used_scratch_bytes, 256);
  problem.workspace_bytes = std::min(kWorkspaceBytes, context.scratch_bytes - workspace_offset);
  const Plan& plan = FindPlan(problem);
  if (!plan.usable) return false;
  if (problem.has_bias) {
    const void* bias = arguments.bias.data();
    CheckCublas(library_,
                library_.cublasLtMatmulDescSetAttribute(
                    plan.product.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(bias)),
                "cublasLtMatmulDescSetAttribute");
  }
  const float alpha = 1;
  const float beta = arguments.accumulate ? 1.0f : 0.0f;
  CheckCublas(
      library_,
      library_.cublasLtMatmul(handle_, plan.product.get(), &alpha, arguments.weight.data(),
                              plan.weight.get(), arguments.x.data(), plan.x.get(), &beta,
                              arguments.out.data(), plan.out.get(), arguments.out.data(),
                              plan.out.get(), &plan.algorithm, context.scratch + workspace_offset,
                              static_cast<size_t>(problem.workspace_bytes), context.stream),
      "cublasLtMatmul");
  return true;
}

}  // namespace fastkv::cuda
