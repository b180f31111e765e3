// What becomes of CUDA errors.
//   - A sticky error (illegal address, launch failure, uncorrectable memory error) leaves the
//     context unusable: one line on standard error, then the process ends with
//     kDeviceFailureExitStatus. Nothing that holds device state could be saved or freed anyway.
//   - An error of a call that may fail for good reasons becomes a Status.
//   - An error of a call that cannot fail with right arguments is a bug of ours: it aborts.
#ifndef FASTKV_BACKEND_CUDA_CUDA_CHECK_H_
#define FASTKV_BACKEND_CUDA_CUDA_CHECK_H_

#include <cuda_runtime_api.h>

#include "base/status.h"

namespace fastkv::cuda {

inline constexpr int kDeviceFailureExitStatus = 70;

// True where every later call in this process would fail too.
bool IsSticky(cudaError_t error);

// OK, kMemory (with the bytes free on the device) or kDevice, naming `what`. Ends the process where
// the error is sticky. Clears the runtime's last error.
Status ToStatus(cudaError_t error, const char* what);

// Returns when `error` is cudaSuccess; ends the process where it is sticky; aborts otherwise.
void CheckCuda(cudaError_t error, const char* expression, const char* file, int line);

}  // namespace fastkv::cuda

#define FASTKV_CUDA_CHECK(expression) \
  ::fastkv::cuda::CheckCuda((expression), #expression, __FILE__, __LINE__)
// After a kernel launch: was it accepted, and has nothing before it failed?
#define FASTKV_CHECK_LAUNCH(kernel) \
  ::fastkv::cuda::CheckCuda(::cudaGetLastError(), "launch of " kernel, __FILE__, __LINE__)
#define FASTKV_RETURN_IF_CUDA_ERROR(expression, what) \
  FASTKV_RETURN_IF_ERROR(::fastkv::cuda::ToStatus((expression), (what)))

#endif  // FASTKV_BACKEND_CUDA_CUDA_CHECK_H_
