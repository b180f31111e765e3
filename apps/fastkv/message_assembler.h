// From lines to messages: one line is one message, unless it ends in a backslash or opens a block
// between triple quotation marks.
#ifndef FASTKV_APPS_MESSAGE_ASSEMBLER_H_
#define FASTKV_APPS_MESSAGE_ASSEMBLER_H_

#include <optional>
#include <string>
#include <string_view>

namespace fastkv {

// Not thread-safe.
class MessageAssembler {
 public:
  // The message that this line completes, if it does. A line that ends in a backslash goes on in
  // the next one; one that begins with """ opens a block that ends with """ at the end of this or a
  // later line.
  std::optional<std::string> Take(std::string_view line);

  // Inside a message that is not complete.
  bool open() const { return in_block_ || continues_; }
  // What has come of it, which counts as a message where the input ends.
  std::optional<std::string> TakeRest();
  void Clear();

 private:
  std::string Finish();

  std::string text_;
  bool in_block_ = false;
  bool continues_ = false;
};

}  // namespace fastkv

#endif  // FASTKV_APPS_MESSAGE_ASSEMBLER_H_
