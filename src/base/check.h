// Checks of our own invariants. A failed check is a bug in fastkv: it prints the place and the
// values and aborts. Never use these for anything that input, a file or a device can cause.
#ifndef FASTKV_BASE_CHECK_H_
#define FASTKV_BASE_CHECK_H_

#include <cstdint>

namespace fastkv::internal {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const char* message);
[[noreturn]] void CheckOpFailed(const char* file, int line, const char* condition, int64_t left,
                                int64_t right);

}  // namespace fastkv::internal

#define FASTKV_CHECK_MSG(condition, message)                                    \
  do {                                                                          \
    if (!(condition)) {                                                         \
      ::fastkv::internal::CheckFailed(__FILE__, __LINE__, #condition, message); \
    }                                                                           \
  } while (false)
#define FASTKV_CHECK(condition) FASTKV_CHECK_MSG(condition, "")

// Compares two integers and prints both when the comparison does not hold.
#define FASTKV_CHECK_OP_(left, op, right)                                             \
  do {                                                                                \
    const auto fastkv_left_ = static_cast<int64_t>(left);                             \
    const auto fastkv_right_ = static_cast<int64_t>(right);                           \
    if (!(fastkv_left_ op fastkv_right_)) {                                           \
      ::fastkv::internal::CheckOpFailed(__FILE__, __LINE__, #left " " #op " " #right, \
                                        fastkv_left_, fastkv_right_);                 \
    }                                                                                 \
  } while (false)
#define FASTKV_CHECK_EQ(left, right) FASTKV_CHECK_OP_(left, ==, right)
#define FASTKV_CHECK_NE(left, right) FASTKV_CHECK_OP_(left, !=, right)
#define FASTKV_CHECK_LE(left, right) FASTKV_CHECK_OP_(left, <=, right)
#define FASTKV_CHECK_LT(left, right) FASTKV_CHECK_OP_(left, <, right)
#define FASTKV_CHECK_GE(left, right) FASTKV_CHECK_OP_(left, >=, right)
#define FASTKV_CHECK_GT(left, right) FASTKV_CHECK_OP_(left, >, right)

#endif  // FASTKV_BASE_CHECK_H_
