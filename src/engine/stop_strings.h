// Ends a streamed text at the first stop string, without ever showing the beginning of one.
#ifndef FASTKV_ENGINE_STOP_STRINGS_H_
#define FASTKV_ENGINE_STOP_STRINGS_H_

#include <string>
#include <string_view>
#include <vector>

namespace fastkv {

// Not thread-safe.
class StopStrings {
 public:
  // Empty strings are ignored.
  explicit StopStrings(std::vector<std::string> stops);

  // Takes the next piece of text and returns what may be shown now: all that cannot be part of a
  // stop string any more. After a stop string has come, stopped() is true and nothing more is
  // returned.
  std::string Push(std::string_view piece);
  // What was held back, when the text ends without a stop string.
  std::string Finish();

  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_STOP_STRINGS_H_
