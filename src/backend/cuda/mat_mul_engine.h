// Matrix products by cuBLASLt, and by MatVec where there are few rows.
#ifndef FASTKV_BACKEND_CUDA_MAT_MUL_ENGINE_H_
#define FASTKV_BACKEND_CUDA_MAT_MUL_ENGINE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>

#include "backend/cuda/cublaslt.h"
#include "backend/cuda/mat_mul.h"
#include "base/status.h"

namespace fastkv::cuda {

// Chooses cuBLASLt's algorithm once for every distinct problem and keeps it.
class MatMulEngine {
 public:
  // Errors: kDevice where cuBLASLt is missing or does not start.
  static Result<std::unique_ptr<MatMulEngine>> Create();
  ~MatMulEngine();
  MatMulEngine(const MatMulEngine&) = delete;
  MatMulEngine& operator=(const MatMulEngine&) = delete;

  // Enqueues the product, by MatVec where it fits. Uses the context's scratch memory.
  void Run(const Context& context, const MatMulArguments& arguments);
  // Always by cuBLASLt where it has an algorithm.
  void RunLibrary(const Context& context, const MatMulArguments& arguments);

  // cuBLASLt's own version number.
  int64_t library_version() const;

 private:
  struct Problem;
  struct Plan;
  // Everything cuBLASLt's choice may depend on: sizes, strides, types, alignments, bias, beta.
  using Key = std::array<int64_t, 11>;

  explicit MatMulEngine(const CublasLt& library);
  const Plan& FindPlan(const Problem& problem);
  // False where cuBLASLt has no algorithm. A bias needs a float32 output. The first
  // `used_scratch_bytes` of scratch memory are not touched.
  bool Multiply(const Context& context, const MatMulArguments& arguments,
                int64_t used_scratch_bytes);

  const CublasLt& library_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_MAT_MUL_ENGINE_H_
