// Unicode normalization (UAX 15) in time linear but for the sorting of marks.
#ifndef FASTKV_TEXT_UNICODE_NORMALIZE_H_
#define FASTKV_TEXT_UNICODE_NORMALIZE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fastkv {

enum class NormalizationForm { kNfc, kNfd, kNfkc, kNfkd };

// Cuts text where normalization cannot reach across, so that a caller can follow which bytes came
// from where. Not thread-safe; reuses its buffers.
class UnicodeNormalizer {
 public:
  explicit UnicodeNormalizer(NormalizationForm form) : form_(form) {}

  struct Segment {
    size_t end;      // the segment is [begin, end)
    bool unchanged;  // it is normalized already
  };
  // The longest unchanged stretch from `begin`, or else the shortest stretch that can be normalized
  // by itself. REQUIRES: `text` is valid UTF-8, begin < text.size() is where a segment may start.
  Segment NextSegment(std::string_view text, size_t begin) const;

  // Appends the normalized form of a segment that is not `unchanged`.
  void AppendNormalized(std::string_view segment, std::string& output);

 private:
  bool IsStable(char32_t code_point) const;
  void SortMarks();

  NormalizationForm form_;
  std::vector<int32_t> code_points_;
  std::vector<uint64_t> run_;  // the marks that are being sorted
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_UNICODE_NORMALIZE_H_
