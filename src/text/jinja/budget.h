// What one rendering may use. A template is input like any other: it may loop, recurse and multiply
// strings, so every step, every byte made and every byte looked at is counted, and running out is
// an error of that rendering alone.
//
// Thread-safety: none; one budget belongs to one rendering.
#ifndef FASTKV_TEXT_JINJA_BUDGET_H_
#define FASTKV_TEXT_JINJA_BUDGET_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/limits.h"
#include "base/status.h"

namespace fastkv::jinja {

class Budget {
 public:
  // `input_bytes`: size of the template and of all values given to it.
  explicit Budget(uint64_t input_bytes)
      : output_limit_bytes_(limits::kMaxTemplateBytes + 4 * Clip(input_bytes)),
        // Intermediate strings and lists: a few copies of the conversation for each message part.
        heap_limit_bytes_(16 * limits::kMaxTemplateBytes + 32 * Clip(input_bytes)),
        // Comparing, searching and scanning make no bytes but take time: about a second's worth.
        scan_limit_bytes_(512 * limits::kMaxTemplateBytes + 512 * Clip(input_bytes)) {}

  // Errors of all: kLimit, naming what ran out.
  Status Steps(uint64_t count) {
    steps_ += count;
    if (steps_ <= static_cast<uint64_t>(limits::kMaxTemplateSteps)) return OkStatus();
    return LimitError("the template takes more than " + std::to_string(limits::kMaxTemplateSteps) +
                      " steps");
  }
  Status Heap(uint64_t bytes) {
    heap_bytes_ += std::min(bytes, kLargestCharge);
    return heap_bytes_ <= heap_limit_bytes_ ? OkStatus() : HeapError();
  }
  // Whether that many bytes could still be made, without making them: asked before filling a great
  // length piece by piece.
  Status CheckHeap(uint64_t bytes) const {
    if (bytes <= heap_limit_bytes_ && heap_bytes_ + bytes <= heap_limit_bytes_) return OkStatus();
    return HeapError();
  }
  Status Scan(uint64_t bytes) {
    scan_bytes_ += std::min(bytes, kLargestCharge);
    if (scan_bytes_ <= scan_limit_bytes_) return OkStatus();
    return LimitError("the template searches more than " + std::to_string(scan_limit_bytes_) +
                      " bytes of text");
  }

  uint64_t output_limit_bytes() const { return output_limit_bytes_; }

 private:
  static constexpr uint64_t kLargestCharge = 1ull << 40;
  // Texts address their buffers with 32 bits, so no limit may pass 4 GiB.
  static uint64_t Clip(uint64_t input_bytes) { return std::min(input_bytes, uint64_t{100} << 20); }

  Status HeapError() const {
    return LimitError("the template makes more than " + std::to_string(heap_limit_bytes_) +
                      " bytes of values");
  }

  uint64_t output_limit_bytes_;
  uint64_t heap_limit_bytes_;
  uint64_t scan_limit_bytes_;
  uint64_t steps_ = 0;
  uint64_t heap_bytes_ = 0;
  uint64_t scan_bytes_ = 0;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_BUDGET_H_
