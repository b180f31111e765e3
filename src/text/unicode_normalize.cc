#include "text/unicode_normalize.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/check.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

bool Between(char32_t value, char32_t first, char32_t last) {
  return value >= first && value <= last;
}

// Starters that never join with what stands before them, in no form. A subset is enough: a missing
// one only makes segments longer.
bool StartsSegment(char32_t c) {
  return c < 0x300 || Between(c, 0x370, 0x482) || Between(c, 0x48A, 0x58F) ||
         Between(c, 0x2010, 0x2027) || Between(c, 0x3001, 0x3029) || Between(c, 0x3041, 0x3096) ||
         Between(c, 0x30A1, 0x30FA) || Between(c, 0x3400, 0x9FFF) || Between(c, 0xAC00, 0xD7A3) ||
         Between(c, 0xFF01, 0xFF9D);
}

}  // namespace

// Characters that their form leaves as they are when nothing joins them from the right; a subset
// again.
bool UnicodeNormalizer::IsStable(char32_t c) const {
  if (Between(c, 0x3400, 0x9FFF) || c < 0x80) return true;
  switch (form_) {
    case NormalizationForm::kNfc:
      return c < 0x300 || Between(c, 0x400, 0x482) || Between(c, 0x48A, 0x58F) ||
             Between(c, 0x2010, 0x2027) || Between(c, 0x3001, 0x3029) ||
             Between(c, 0x3041, 0x3096) || Between(c, 0x30A1, 0x30FA) ||
             Between(c, 0xAC00, 0xD7A3) || Between(c, 0xFF01, 0xFF9D);
    case NormalizationForm::kNfkc:
      return Between(c, 0x3041, 0x3096) || Between(c, 0x30A1, 0x30FA) || Between(c, 0xAC00, 0xD7A3);
    case NormalizationForm::kNfd:
    case NormalizationForm::kNfkd:
      return false;
  }
  return false;
}

UnicodeNormalizer::Segment UnicodeNormalizer::NextSegment(std::string_view text,
                                                          size_t begin) const {
  size_t position = begin;
  CodePoint current = DecodeUtf8(text, position);
  while (true) {
    const size_t next = position + current.length_bytes;
    CodePoint following{0, 0};
    if (next < text.size()) {
      following = DecodeUtf8(text, next);
      if (!StartsSegment(following.value)) {
        if (position > begin) return {position, true};
        break;
      }
    }
    if (!IsStable(current.value)) {
      if (position > begin) return {position, true};
      break;
    }
    position = next;
    if (position == text.size()) return {position, true};
    current = following;
  }
  position += current.length_bytes;
  while (position < text.size()) {
    current = DecodeUtf8(text, position);
    if (StartsSegment(current.value)) break;
    position += current.length_bytes;
  }
  return {position, false};
}

void UnicodeNormalizer::AppendNormalized(std::string_view segment, std::string& output) {
  const bool compatibility = form_ == NormalizationForm::kNfkc || form_ == NormalizationForm::kNfkd;
  const bool compose = form_ == NormalizationForm::kNfc || form_ == NormalizationForm::kNfkc;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatibility ? UTF8PROC_COMPAT : 0));
  code_points_.clear();
  for (size_t position = 0; position < segment.size();) {
    const CodePoint c = DecodeUtf8(segment, position);
    position += c.length_bytes;
    // No character decomposes into more than 18 (U+FDFA).
    utf8proc_int32_t parts[32];
    int boundary_class = 0;
    const utf8proc_ssize_t num_parts = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c.value), parts, std::size(parts), options, &boundary_class);
    FASTKV_CHECK(num_parts >= 0 && num_parts <= 32);
    code_points_.insert(code_points_.end(), parts, parts + num_parts);
  }
  SortMarks();
  size_t count = code_points_.size();
  if (compose) {
    const utf8proc_ssize_t composed = utf8proc_normalize_utf32(
        code_points_.data(), static_cast<utf8proc_ssize_t>(count),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    FASTKV_CHECK(composed >= 0);
    count = static_cast<size_t>(composed);
  }
  for (size_t i = 0; i < count; ++i) AppendUtf8(static_cast<char32_t>(code_points_[i]), output);
}

// Canonical ordering. utf8proc orders by exchanging neighbours, which takes quadratic time on a
// long run of marks; sorting each run by class and place gives the same order.
void UnicodeNormalizer::SortMarks() {
  const auto combining_class = [](int32_t c) {
    return static_cast<uint64_t>(utf8proc_get_property(c)->combining_class);
  };
  for (size_t begin = 0; begin < code_points_.size();) {
    run_.clear();
    size_t end = begin;
    for (; end < code_points_.size(); ++end) {
      const uint64_t mark_class = combining_class(code_points_[end]);
      if (mark_class == 0) break;
      // The class in 8 bits, the place in 32, the character in 24.
      run_.push_back(mark_class << 56 | static_cast<uint64_t>(end - begin) << 24 |
                     static_cast<uint64_t>(code_points_[end]));
    }
    if (run_.size() > 1) {
      std::sort(run_.begin(), run_.end());
      for (size_t i = 0; i < run_.size(); ++i) {
        code_points_[begin + i] = static_cast<int32_t>(run_[i] & 0xFFFFFF);
      }
    }
    begin = end + 1;
  }
}

}  // namespace fastkv
