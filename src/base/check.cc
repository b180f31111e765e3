#include "base/check.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace fastkv::internal {

void CheckFailed(const char* file, int line, const char* condition, const char* message) {
  std::fprintf(stderr, "fastkv bug: %s:%d: check failed: %s %s\n", file, line, condition, message);
  std::abort();
}

void CheckOpFailed(const char* file, int line, const char* condition, int64_t left, int64_t right) {
  std::fprintf(stderr, "fastkv bug: %s:%d: check failed: %s (%" PRId64 " against %" PRId64 ")\n",
               file, line, condition, left, right);
  std::abort();
}

}  // namespace fastkv::internal
