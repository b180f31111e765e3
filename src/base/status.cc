#include "base/status.h"

namespace fastkv {

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kInvalidArgument:
      return "invalid argument";
    case StatusCode::kFormat:
      return "format";
    case StatusCode::kLimit:
      return "limit";
    case StatusCode::kNotFound:
      return "not found";
    case StatusCode::kUnsupported:
      return "unsupported";
    case StatusCode::kIo:
      return "io";
    case StatusCode::kMemory:
      return "memory";
    case StatusCode::kDevice:
      return "device";
    case StatusCode::kCancelled:
      return "cancelled";
    case StatusCode::kNumeric:
      return "numeric";
  }
  return "unknown";
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  return Status(code_, std::string(context) + ": " + message_);
}

Status InvalidArgumentError(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}
Status FormatError(std::string message) { return Status(StatusCode::kFormat, std::move(message)); }
Status LimitError(std::string message) { return Status(StatusCode::kLimit, std::move(message)); }
Status NotFoundError(std::string message) {
  return Status(StatusCode::kNotFound, std::move(message));
}
Status UnsupportedError(std::string message) {
  return Status(StatusCode::kUnsupported, std::move(message));
}
Status IoError(std::string message) { return Status(StatusCode::kIo, std::move(message)); }
Status MemoryError(std::string message) { return Status(StatusCode::kMemory, std::move(message)); }
Status DeviceError(std::string message) { return Status(StatusCode::kDevice, std::move(message)); }
Status CancelledError(std::string message) {
  return Status(StatusCode::kCancelled, std::move(message));
}
Status NumericError(std::string message) {
  return Status(StatusCode::kNumeric, std::move(message));
}

int ExitStatusFor(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return 0;
    case StatusCode::kInvalidArgument:
    case StatusCode::kFormat:
    case StatusCode::kLimit:
    case StatusCode::kNotFound:
    case StatusCode::kUnsupported:
      return 2;
    case StatusCode::kCancelled:
      return 130;
    case StatusCode::kIo:
    case StatusCode::kMemory:
    case StatusCode::kDevice:
    case StatusCode::kNumeric:
      return 1;
  }
  return 1;
}

}  // namespace fastkv
