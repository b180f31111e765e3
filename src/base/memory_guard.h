// Turns std::bad_alloc into a value at the library's border.
#ifndef FASTKV_BASE_MEMORY_GUARD_H_
#define FASTKV_BASE_MEMORY_GUARD_H_

#include <new>

#include "base/status.h"

namespace fastkv {

// Calls `function`, which returns a Status or Result, and gives kMemory where it runs out of memory.
template <typename Function>
auto WithMemoryErrors(const char* doing, Function&& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return MemoryError(std::string("out of memory while ") + doing);
  }
}

}  // namespace fastkv

#endif  // FASTKV_BASE_MEMORY_GUARD_H_
