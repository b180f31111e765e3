// The functions of cuBLASLt that matrix products use.
#ifndef FASTKV_BACKEND_CUDA_CUBLASLT_H_
#define FASTKV_BACKEND_CUDA_CUBLASLT_H_

#include <cublasLt.h>

#include "base/status.h"

#define FASTKV_CUBLASLT_FUNCTIONS(X)      \
  X(cublasLtCreate)                       \
  X(cublasLtDestroy)                      \
  X(cublasLtGetStatusString)              \
  X(cublasLtGetVersion)                   \
  X(cublasLtMatmul)                       \
  X(cublasLtMatmulAlgoGetHeuristic)       \
  X(cublasLtMatmulDescCreate)             \
  X(cublasLtMatmulDescDestroy)            \
  X(cublasLtMatmulDescSetAttribute)       \
  X(cublasLtMatmulPreferenceCreate)       \
  X(cublasLtMatmulPreferenceDestroy)      \
  X(cublasLtMatmulPreferenceSetAttribute) \
  X(cublasLtMatrixLayoutCreate)           \
  X(cublasLtMatrixLayoutDestroy)

namespace fastkv::cuda {

struct CublasLt {
#define FASTKV_MEMBER_(name) decltype(&::name) name = nullptr;
  FASTKV_CUBLASLT_FUNCTIONS(FASTKV_MEMBER_)
#undef FASTKV_MEMBER_
};

// Loaded at the first call; lives as long as the process. Errors: kDevice, saying what to install.
// Thread-safe.
Result<const CublasLt*> LoadCublasLt();

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_CUBLASLT_H_
