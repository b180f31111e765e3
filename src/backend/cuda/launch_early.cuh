// Kernels that come onto the device while the one before them is finishing (programmatic dependent
// launch, compute capability 9.0 and up; elsewhere they start in order as always). A decoding step
// is a chain of some three hundred short kernels: starting them one behind the other would cost as
// much as many of them run, and the next weight can be on its way meanwhile.
#ifndef FASTKV_BACKEND_CUDA_LAUNCH_EARLY_CUH_
#define FASTKV_BACKEND_CUDA_LAUNCH_EARLY_CUH_

#include <cuda_runtime.h>

#include <utility>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_check.h"

namespace fastkv::cuda {

// For the first statement of a kernel: the next kernel may come onto the device as soon as all
// blocks of this one have.
__device__ __forceinline__ void AdmitNextKernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Returns when all earlier kernels are complete and what they wrote can be read. A kernel launched
// by LaunchEarly calls it before it reads or writes anything but what was there before all kernels
// of the chain (weights).
__device__ __forceinline__ void AwaitEarlierKernels() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

template <typename... Params, typename... Arguments>
void LaunchEarly(const Context& context, const char* name, void (*kernel)(Params...), dim3 grid,
                 int block_threads, int shared_bytes, Arguments&&... arguments) {
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(block_threads));
  config.dynamicSmemBytes = static_cast<size_t>(shared_bytes);
  config.stream = context.stream;
  config.attrs = &early;
  config.numAttrs = context.launches_early ? 1 : 0;
  CheckCuda(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name,
            __FILE__, __LINE__);
}

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_LAUNCH_EARLY_CUH_
