// Which bytes of a text may be read as special tokens.
#ifndef FASTKV_TEXT_TOKENIZER_TRUST_H_
#define FASTKV_TEXT_TOKENIZER_TRUST_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastkv {

// The untrusted ranges of a text: ascending, apart from each other, not empty.
class UntrustedRanges {
 public:
  // REQUIRES: begin is not below the end of the range added before.
  void Add(size_t begin, size_t end) {
    if (begin == end) return;
    if (!ranges_.empty() && ranges_.back().end == begin) {
      ranges_.back().end = end;
    } else {
      ranges_.push_back({begin, end});
    }
  }

  bool empty() const { return ranges_.empty(); }

  bool Touches(size_t begin, size_t end) const {
    const auto range = std::partition_point(ranges_.begin(), ranges_.end(),
                                            [&](const Range& r) { return r.end <= begin; });
    return range != ranges_.end() && range->begin < end;
  }

  // One byte for each of [begin, end): 1 where it is trusted.
  std::vector<uint8_t> TrustOf(size_t begin, size_t end) const {
    std::vector<uint8_t> trusted(end - begin, 1);
    for (const Range& range : ranges_) {
      for (size_t i = std::max(begin, range.begin); i < std::min(end, range.end); ++i) {
        trusted[i - begin] = 0;
      }
    }
    return trusted;
  }

 private:
  struct Range {
    size_t begin;
    size_t end;
  };
  std::vector<Range> ranges_;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_TOKENIZER_TRUST_H_
