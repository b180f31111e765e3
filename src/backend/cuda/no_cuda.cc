// Answers for the CUDA back end in a build without a CUDA toolkit.
#include "backend/backend.h"

namespace fastkv {

Result<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& /*options*/) {
  return UnsupportedError(
      "this build of fastkv has no CUDA back end; install the CUDA toolkit (nvcc), configure with "
      "-DFASTKV_CUDA=ON and build again, or run with --device cpu");
}

std::vector<std::string> ListCudaDevices() { return {}; }

}  // namespace fastkv
