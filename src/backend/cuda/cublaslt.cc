#include "backend/cuda/cublaslt.h"

#include <cuda_runtime_api.h>

#include <string>

#include "backend/cuda/shared_library.h"

namespace fastkv::cuda {
namespace {

// cuBLAS has carried the toolkit's major version since CUDA 11.
Result<CublasLt> Load() {
  const std::string name = "libcublasLt.so." + std::to_string(CUDART_VERSION / 1000);
  std::string reason;
  void* library = OpenLibrary(name, &reason);
  if (library == nullptr) {
    return DeviceError("the CUDA back end needs " + name + ", which could not be loaded (" +
                       reason + "); install cuBLAS or add its folder to LD_LIBRARY_PATH");
  }
  CublasLt functions;
#define FASTKV_LOAD_(function)                                                        \
  functions.function =                                                                \
      reinterpret_cast<decltype(functions.function)>(FindSymbol(library, #function)); \
  if (functions.function == nullptr) {                                                \
    return DeviceError(name + " has no " #function "; install the cuBLAS of CUDA " +  \
                       std::to_string(CUDART_VERSION / 1000));                        \
  }
  FASTKV_CUBLASLT_FUNCTIONS(FASTKV_LOAD_)
#undef FASTKV_LOAD_
  return functions;
}

}  // namespace

Result<const CublasLt*> LoadCublasLt() {
  static const Result<CublasLt> functions = Load();
  if (!functions.ok()) return functions.status();
  return &functions.value();
}

}  // namespace fastkv::cuda
