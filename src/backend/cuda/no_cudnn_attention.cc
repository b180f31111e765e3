// Answers for cuDNN in a build without its headers.
#include "backend/cuda/cudnn_attention.h"

namespace fastkv::cuda {

std::unique_ptr<CudnnAttention> CreateCudnnAttention(std::string* reason) {
  *reason = "built without the headers of cuDNN and its frontend";
  return nullptr;
}

}  // namespace fastkv::cuda
