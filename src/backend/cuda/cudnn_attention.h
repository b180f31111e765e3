// Prefill attention by cuDNN's fused kernel.
#ifndef FASTKV_BACKEND_CUDA_CUDNN_ATTENTION_H_
#define FASTKV_BACKEND_CUDA_CUDNN_ATTENTION_H_

#include <memory>
#include <string>

#include "backend/cuda/attention.h"
#include "backend/cuda/context.h"

namespace fastkv::cuda {

// Builds cuDNN's plan once for every distinct problem (tens of milliseconds, no device work) and
// keeps the most recent ones.
class CudnnAttention {
 public:
  virtual ~CudnnAttention() = default;
  // Enqueues the operation and returns true, or returns false and does nothing where cuDNN does not
  // take it: float32, a window, log_sum_exp, head sizes other than 64 and 128.
  virtual bool Run(const Context& context, const PrefillAttentionParams& params) = 0;
  // "cuDNN 9.19.0".
  virtual const std::string& description() const = 0;
};

// Null where this build or this machine has no cuDNN, or one too old; `reason` then says why.
std::unique_ptr<CudnnAttention> CreateCudnnAttention(std::string* reason);

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_CUDNN_ATTENTION_H_
