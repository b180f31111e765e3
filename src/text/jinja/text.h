// Text with a memory of where it came from. Each byte is trusted (written by the template or the
// model's files) or not (it came with the conversation). Cutting, joining and changing texts keeps
// the mark on every byte, so the rendered prompt can say which special tokens are real.
//
// Thread-safety: buffers of a parsed template are only read; all others belong to one rendering.
#ifndef FASTKV_TEXT_JINJA_TEXT_H_
#define FASTKV_TEXT_JINJA_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/jinja/budget.h"
#include "text/text_segment.h"

namespace fastkv::jinja {

struct TextBuffer {
  struct Run {
    uint32_t end = 0;  // one past the last byte of this run
    bool trusted = false;
  };

  std::string bytes;      // valid UTF-8
  std::vector<Run> runs;  // ascending, covering `bytes`, neighbours differ
  // Only buffers made while rendering may grow; those of a parsed template are shared between
  // threads.
  bool growable = false;

  void Append(std::string_view more, bool trusted);
};

// A part of a buffer. Appending to a growable buffer leaves the texts that end earlier as they are,
// so a text that grows piece by piece is not copied each time. Does not own.
struct Text {
  TextBuffer* buffer = nullptr;  // nullptr: the empty text
  uint32_t begin = 0;            // byte offset in the buffer
  uint32_t size = 0;             // in bytes

  // Valid until the buffer grows.
  std::string_view view() const {
    if (buffer == nullptr) return {};
    return std::string_view(buffer->bytes).substr(begin, size);
  }
  bool empty() const { return size == 0; }
  // REQUIRES: offset + count <= size; both at code point borders.
  Text Slice(size_t offset, size_t count) const {
    return {buffer, begin + static_cast<uint32_t>(offset), static_cast<uint32_t>(count)};
  }
};

// Reads the marks of a text from left to right in linear time.
class TrustCursor {
 public:
  explicit TrustCursor(Text text);
  // REQUIRES: offsets of successive calls ascend. The mark of the byte at `offset` of the text.
  bool TrustedAt(size_t offset);

 private:
  Text text_;
  size_t run_ = 0;
};

// Collects a new text. Appending beyond the budget is remembered and nothing more is stored;
// `status()` then tells.
class TextBuilder {
 public:
  // `buffer` receives the bytes; it and `budget` must outlive the builder. `limit_bytes` bounds the
  // text beside the budget.
  TextBuilder(TextBuffer* buffer, Budget* budget, uint64_t limit_bytes = UINT32_MAX)
      : buffer_(buffer), budget_(budget), limit_bytes_(limit_bytes) {}

  void Append(std::string_view bytes, bool trusted);
  void Append(Text text);
  void AppendCodePoint(char32_t code_point, bool trusted);

  const Status& status() const { return status_; }
  TextBuffer* buffer() const { return buffer_; }
  // All that was appended.
  Text text() const { return {buffer_, 0, static_cast<uint32_t>(buffer_->bytes.size())}; }

 private:
  bool Reserve(size_t bytes);

  TextBuffer* buffer_;
  Budget* budget_;
  uint64_t limit_bytes_;
  Status status_;
};

// The text cut where its marks change; empty for an empty text.
std::vector<TextSegment> Segments(Text text);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_TEXT_H_
