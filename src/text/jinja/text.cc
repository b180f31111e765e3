#include "text/jinja/text.h"

#include <algorithm>

#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

// The run that holds byte `position`.
size_t RunAt(const TextBuffer& buffer, uint32_t position) {
  const auto run = std::upper_bound(
      buffer.runs.begin(), buffer.runs.end(), position,
      [](uint32_t value, const TextBuffer::Run& candidate) { return value < candidate.end; });
  return static_cast<size_t>(run - buffer.runs.begin());
}

// Calls visit(begin, end, trusted) for each run of the text, in offsets of the buffer.
template <typename Visit>
void ForEachRun(Text text, Visit visit) {
  const uint32_t end = text.begin + text.size;
  uint32_t position = text.begin;
  if (text.size == 0) return;
  for (size_t run = RunAt(*text.buffer, position); position < end; ++run) {
    const TextBuffer::Run current = text.buffer->runs[run];
    const uint32_t stop = std::min(current.end, end);
    visit(position, stop, current.trusted);
    position = stop;
  }
}

}  // namespace

void TextBuffer::Append(std::string_view more, bool trusted) {
  if (more.empty()) return;
  bytes.append(more);
  const auto end = static_cast<uint32_t>(bytes.size());
  if (!runs.empty() && runs.back().trusted == trusted) {
    runs.back().end = end;
  } else {
    runs.push_back({end, trusted});
  }
}

TrustCursor::TrustCursor(Text text) : text_(text) {
  if (text.size != 0) run_ = RunAt(*text.buffer, text.begin);
}

bool TrustCursor::TrustedAt(size_t offset) {
  while (text_.buffer->runs[run_].end <= text_.begin + offset) ++run_;
  return text_.buffer->runs[run_].trusted;
}

bool TextBuilder::Reserve(size_t bytes) {
  if (!status_.ok()) return false;
  status_ = budget_->Heap(bytes);
  if (status_.ok() && buffer_->bytes.size() + bytes > limit_bytes_) {
    status_ =
        LimitError("the template writes more than " + std::to_string(limit_bytes_) + " bytes");
  }
  return status_.ok();
}

void TextBuilder::Append(std::string_view bytes, bool trusted) {
  if (Reserve(bytes.size())) buffer_->Append(bytes, trusted);
}

void TextBuilder::Append(Text text) {
  if (!Reserve(text.size)) return;
  ForEachRun(text, [&](uint32_t begin, uint32_t end, bool trusted) {
    buffer_->Append(std::string_view(text.buffer->bytes).substr(begin, end - begin), trusted);
  });
}

void TextBuilder::AppendCodePoint(char32_t code_point, bool trusted) {
  char bytes[4];
  Append(std::string_view(bytes, EncodeUtf8(code_point, bytes)), trusted);
}

std::vector<TextSegment> Segments(Text text) {
  std::vector<TextSegment> segments;
  ForEachRun(text, [&](uint32_t begin, uint32_t end, bool trusted) {
    segments.push_back({text.buffer->bytes.substr(begin, end - begin), trusted});
  });
  return segments;
}

}  // namespace fastkv::jinja
