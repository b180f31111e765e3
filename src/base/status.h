// Errors as values. Every failure that a file, a prompt, a device or an empty memory can cause
// travels as a Status or a Result<T>; broken invariants of our own abort instead (check.h).
//
// Thread-safety: values; distinct objects may be used from distinct threads.
#ifndef FASTKV_BASE_STATUS_H_
#define FASTKV_BASE_STATUS_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace fastkv {

enum class StatusCode {
  kOk,
  kInvalidArgument,  // a value the caller or user gave is wrong
  kFormat,           // a file or text does not follow its format
  kLimit,            // a stated limit is exceeded (sizes, depth, steps, prompt length)
  kNotFound,         // a file that should be there is not, or cannot be opened
  kUnsupported,      // well-formed, but this build or program cannot do it
  kIo,               // reading or writing failed (disk full, device error, file changed underneath)
  kMemory,           // an allocation failed
  kDevice,           // an accelerator failed
  kCancelled,        // the request was cancelled
  kNumeric,          // NaN or infinity where a finite number was needed
};

// The name of a code, such as "format"; never empty.
std::string_view StatusCodeName(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  // REQUIRES: code != kOk. `message` is one line: what was expected, what came, what to do.
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {
    FASTKV_CHECK(code != StatusCode::kOk);
  }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same failure with `context` and ": " put before the message. An ok status stays ok.
  Status WithContext(std::string_view context) const;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status OkStatus() { return Status(); }
Status InvalidArgumentError(std::string message);
Status FormatError(std::string message);
Status LimitError(std::string message);
Status NotFoundError(std::string message);
Status UnsupportedError(std::string message);
Status IoError(std::string message);
Status MemoryError(std::string message);
Status DeviceError(std::string message);
Status CancelledError(std::string message);
Status NumericError(std::string message);

// The process exit status for a failed command: 2 for bad input or usage, 130 for cancelled, 1
// otherwise.
int ExitStatusFor(const Status& status);

// A T or the failure that prevented it.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  // REQUIRES: !status.ok().
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    FASTKV_CHECK(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // REQUIRES: ok().
  T& value() & {
    FASTKV_CHECK_MSG(ok(), status_.message().c_str());
    return *value_;
  }
  const T& value() const& {
    FASTKV_CHECK_MSG(ok(), status_.message().c_str());
    return *value_;
  }
  T&& value() && {
    FASTKV_CHECK_MSG(ok(), status_.message().c_str());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace fastkv

#define FASTKV_RETURN_IF_ERROR(expression)           \
  do {                                               \
    ::fastkv::Status fastkv_status_ = (expression);  \
    if (!fastkv_status_.ok()) return fastkv_status_; \
  } while (false)

#define FASTKV_CONCAT_INNER_(a, b) a##b
#define FASTKV_CONCAT_(a, b) FASTKV_CONCAT_INNER_(a, b)
#define FASTKV_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                                \
  if (!result.ok()) return result.status();                  \
  target = std::move(result).value()
// FASTKV_ASSIGN_OR_RETURN(auto x, Function()); returns the failure, or assigns the value.
#define FASTKV_ASSIGN_OR_RETURN(target, expression) \
  FASTKV_ASSIGN_OR_RETURN_(FASTKV_CONCAT_(fastkv_result_, __LINE__), target, expression)

#endif  // FASTKV_BASE_STATUS_H_
