// The five ways to cut a text at the matches of a pattern.
#ifndef FASTKV_TEXT_PRE_TOKENIZER_SPLIT_H_
#define FASTKV_TEXT_PRE_TOKENIZER_SPLIT_H_

#include <cstddef>

#include "base/status.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// Fed with the matches and the gaps between them in order, covering the text without holes; hands
// the pieces on as soon as they are certain. `Emit` is a callable Status(size_t begin, size_t end).
template <typename Emit>
class SplitFolder {
 public:
  SplitFolder(SplitBehavior behavior, const Emit& emit) : behavior_(behavior), emit_(emit) {}

  Status Take(size_t begin, size_t end, bool is_match) {
    const bool follows_match = previous_is_match_;
    previous_is_match_ = is_match;
    bool joins = false;
    switch (behavior_) {
      case SplitBehavior::kIsolated:
        return emit_(begin, end);
      case SplitBehavior::kRemoved:
        return is_match ? OkStatus() : emit_(begin, end);
      case SplitBehavior::kContiguous:
        joins = is_match == follows_match;
        break;
      case SplitBehavior::kMergedWithPrevious:
        joins = is_match && !follows_match;
        break;
      case SplitBehavior::kMergedWithNext:
        joins = !is_match && follows_match;
        break;
    }
    if (has_pending_ && joins) {
      pending_end_ = end;
      return OkStatus();
    }
    FASTKV_RETURN_IF_ERROR(Finish());
    has_pending_ = true;
    pending_begin_ = begin;
    pending_end_ = end;
    return OkStatus();
  }

  Status Finish() {
    if (!has_pending_) return OkStatus();
    has_pending_ = false;
    return emit_(pending_begin_, pending_end_);
  }

 private:
  SplitBehavior behavior_;
  const Emit& emit_;
  bool previous_is_match_ = false;
  bool has_pending_ = false;
  size_t pending_begin_ = 0;
  size_t pending_end_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_PRE_TOKENIZER_SPLIT_H_
