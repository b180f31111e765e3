#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "fastkv/line_source.h"

namespace fastkv {
namespace {

class PlainLines final : public LineSource {
 public:
  PlainLines(int descriptor, InputWaiter& waiter) : descriptor_(descriptor), waiter_(waiter) {}

  Result<InputLine> Read(const std::string& /*prompt*/) override {
    while (true) {
      const size_t end = held_.find('\n', searched_);
      if (end != std::string::npos) return Line(end, end + 1);
      searched_ = held_.size();
      if (at_end_ && held_.empty()) return InputLine{.kind = InputLine::Kind::kEnd};
      if (at_end_) return Line(held_.size(), held_.size());
      if (held_.size() > limits::kMaxPromptFileBytes) {
        return LimitError("a line on standard input is longer than " +
                          std::to_string(limits::kMaxPromptFileBytes) + " bytes");
      }
      const Wakening wakening = waiter_.Wait(descriptor_);
      if (wakening == Wakening::kInterrupt) return InputLine{.kind = InputLine::Kind::kInterrupted};
      if (wakening == Wakening::kTerminate) return InputLine{.kind = InputLine::Kind::kTerminated};
      FASTKV_RETURN_IF_ERROR(ReadMore());
    }
  }

  bool interactive() const override { return false; }

 private:
  InputLine Line(size_t end, size_t next) {
    InputLine line{.text = held_.substr(0, end)};
    if (!line.text.empty() && line.text.back() == '\r') line.text.pop_back();
    held_.erase(0, next);
    searched_ = 0;
    return line;
  }

  Status ReadMore() {
    char chunk[1 << 16];
    const ssize_t count = read(descriptor_, chunk, sizeof(chunk));
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
      return IoError("standard input could not be read: " + std::string(std::strerror(errno)));
    }
    if (count == 0) at_end_ = true;
    if (count > 0) held_.append(chunk, static_cast<size_t>(count));
    return OkStatus();
  }

  int descriptor_;
  InputWaiter& waiter_;
  std::string held_;
  size_t searched_ = 0;  // of `held_`, without a line end
  bool at_end_ = false;
};

}  // namespace

std::unique_ptr<LineSource> CreatePlainLines(int descriptor, InputWaiter& waiter) {
  return std::make_unique<PlainLines>(descriptor, waiter);
}

}  // namespace fastkv
