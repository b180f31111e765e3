#include "backend/cuda/shared_library.h"

#include <dlfcn.h>

namespace fastkv::cuda {

void* OpenLibrary(const std::string& name, std::string* reason) {
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  const char* message = dlerror();
  *reason = message != nullptr ? message : "unknown reason";
  return dlopen((FASTKV_CUDA_LIBRARY_DIR "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
}

void* FindSymbol(void* library, const char* name) { return dlsym(library, name); }

}  // namespace fastkv::cuda
