// A piece of prompt text with its origin, so that text a user wrote is never read as a special token.
#ifndef FASTKV_TEXT_TEXT_SEGMENT_H_
#define FASTKV_TEXT_TEXT_SEGMENT_H_

#include <string>

namespace fastkv {

// Neighbouring segments form one text: where they are cut changes no token but special ones. A special
// token counts only where all of its bytes are trusted.
struct TextSegment {
  std::string text;      // valid UTF-8
  bool trusted = false;  // written by a template or the model's own files, not by a user
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_TEXT_SEGMENT_H_
