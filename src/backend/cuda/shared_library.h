// Libraries that are looked for at run time, so that the program starts without them.
#ifndef FASTKV_BACKEND_CUDA_SHARED_LIBRARY_H_
#define FASTKV_BACKEND_CUDA_SHARED_LIBRARY_H_

#include <string>

namespace fastkv::cuda {

// The handle of dlopen for `name`, looked for where the dynamic linker looks, then in the folder of
// the toolkit this was built with; null where it is missing, with the linker's reason in `reason`.
// Never closed: the CUDA libraries do not survive being unloaded while a context lives.
void* OpenLibrary(const std::string& name, std::string* reason);

// The address of a symbol, or null.
void* FindSymbol(void* library, const char* name);

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_SHARED_LIBRARY_H_
