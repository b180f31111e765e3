// Where the lines of a chat come from: a terminal with line editing, or a pipe or file.
#ifndef FASTKV_APPS_LINE_SOURCE_H_
#define FASTKV_APPS_LINE_SOURCE_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "fastkv/interrupt.h"

namespace fastkv {

struct InputLine {
  enum class Kind {
    kText,
    kEnd,
    kInterrupted,  // SIGINT; what was typed of the line is gone
    kTerminated,   // SIGTERM
  };
  Kind kind = Kind::kText;
  std::string text;  // without its line end
};

// Not thread-safe.
class LineSource {
 public:
  virtual ~LineSource() = default;
  // Waits for the next line; a terminal shows `prompt` before it. Errors: kIo; kLimit for a line
  // above limits::kMaxPromptFileBytes.
  virtual Result<InputLine> Read(const std::string& prompt) = 0;
  // Keeps a message for the arrow keys.
  virtual void Remember(const std::string& /*message*/) {}
  // A person is there, who sees messages and can answer them.
  virtual bool interactive() const = 0;
};

// Plain lines. The waiter must outlive it.
std::unique_ptr<LineSource> CreatePlainLines(int descriptor, InputWaiter& waiter);

// Lines of standard input, a terminal, edited as in a shell. The waiter must outlive it. Errors:
// kIo where the terminal cannot be used.
Result<std::unique_ptr<LineSource>> CreateEditedLines(InputWaiter& waiter);

}  // namespace fastkv

#endif  // FASTKV_APPS_LINE_SOURCE_H_
