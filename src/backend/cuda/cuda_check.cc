#include "backend/cuda/cuda_check.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace fastkv::cuda {
namespace {

std::string Describe(cudaError_t error) {
  return std::string(cudaGetErrorName(error)) + " (" + cudaGetErrorString(error) + ")";
}

// Not exit(): destructors would call into the broken context, which can hang.
[[noreturn]] void EndProcess(cudaError_t error, const char* what) {
  std::fprintf(stderr,
               "fastkv: the CUDA device failed in %s: %s; the process cannot go on; run again, and "
               "look at the driver's log (dmesg) if it repeats\n",
               what, Describe(error).c_str());
  std::fflush(stderr);
  std::_Exit(kDeviceFailureExitStatus);
}

}  // namespace

bool IsSticky(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsClientTerminated:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

Status ToStatus(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return OkStatus();
  cudaGetLastError();
  if (IsSticky(error)) EndProcess(error, what);
  if (error == cudaErrorMemoryAllocation) {
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) cudaGetLastError();
    return MemoryError(std::string(what) + ": the CUDA device has " +
                       std::to_string(free_bytes >> 20) + " MiB free of " +
                       std::to_string(total_bytes >> 20) +
                       " MiB; lower the context length, the batch or the KV budget, or end other "
                       "programs on the device");
  }
  return DeviceError(std::string(what) + ": " + Describe(error));
}

void CheckCuda(cudaError_t error, const char* expression, const char* file, int line) {
  if (error == cudaSuccess) return;
  if (IsSticky(error)) EndProcess(error, expression);
  internal::CheckFailed(file, line, expression, Describe(error).c_str());
}

}  // namespace fastkv::cuda
