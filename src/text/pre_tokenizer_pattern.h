// Finding a pattern in text: literal strings, the well-known tokenizer patterns (scanned by hand in
// linear time), and any other regular expression (PCRE2, under limits).
#ifndef FASTKV_TEXT_PRE_TOKENIZER_PATTERN_H_
#define FASTKV_TEXT_PRE_TOKENIZER_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

struct PatternMatch {
  size_t begin = 0;
  size_t end = 0;  // begin == end: an empty match
};

// What searches need besides the pattern: buffers, and the time they may take together. One for
// each thread and text. Not thread-safe.
class PatternScratch {
 public:
  PatternScratch();
  ~PatternScratch();
  PatternScratch(const PatternScratch&) = delete;
  PatternScratch& operator=(const PatternScratch&) = delete;

  // Sets the time allowed from now on for all searches in a text of this size.
  void StartText(size_t text_bytes);

 private:
  friend class RegexPattern;
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;  // made by the first regular expression
  double deadline_ms_ = 0;
  uint32_t num_searches_ = 0;
};

// Thread-safe.
class TextPattern {
 public:
  virtual ~TextPattern() = default;

  // The leftmost match that begins at or after `from`; false where there is none. What stands
  // before `from` is seen by look-behind. REQUIRES: `text` is valid UTF-8 and `from` begins a
  // character or is text.size(). Errors: kLimit when the search takes too long.
  virtual Result<bool> FindNext(std::string_view text, size_t from, PatternScratch& scratch,
                                PatternMatch& match) const = 0;
};

// The fastest implementation of `spec`.
// Errors: kFormat (broken expression), kUnsupported (a construct that would mean something else
// here).
Result<std::unique_ptr<TextPattern>> MakeTextPattern(const PatternSpec& spec);

// The scanner for one of the well-known expressions, or null for any other.
std::unique_ptr<TextPattern> MakeScanner(std::string_view expression);

// The expression GPT-2 cuts text with, which the byte-level pre-tokenizer implies.
extern const std::string_view kGpt2Expression;

// The regular expression in PCRE2. Errors: as MakeTextPattern.
Result<std::unique_ptr<TextPattern>> MakeRegexPattern(std::string_view expression);

// Rewrites an expression from Oniguruma's syntax (Ruby flavour) to PCRE2's with the same meaning.
// Errors: kUnsupported names the construct that has no counterpart.
Result<std::string> TranslateExpression(std::string_view expression);

}  // namespace fastkv

#endif  // FASTKV_TEXT_PRE_TOKENIZER_PATTERN_H_
