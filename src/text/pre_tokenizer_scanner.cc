// The expressions that nearly all byte-level tokenizers use, scanned by hand: a few table look-ups
// a character, and linear time whatever the text. Each scanner gives exactly what its expression
// gives, alternatives in order, greedy, with backtracking; the comments say which alternative is at
// work.
#include <algorithm>
#include <string_view>

#include "text/pre_tokenizer_pattern.h"
#include "text/unicode_class.h"
#include "text/unicode_utf8.h"

namespace fastkv {

const std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

constexpr size_t kUnlimited = SIZE_MAX;

// A text with its character classes.
class Scan {
 public:
  struct Character {
    char32_t value = 0;
    size_t end = 0;
    uint8_t bits = 0;  // CharacterClass
    bool Is(int mask) const { return (bits & mask) != 0; }
    bool IsNewline() const { return value == '\r' || value == '\n'; }
  };

  explicit Scan(std::string_view text) : text_(text), classes_(CharacterClasses::Get()) {}

  bool AtEnd(size_t position) const { return position >= text_.size(); }
  // No class and value 0 at the end of the text.
  Character At(size_t position) const {
    if (AtEnd(position)) return {};
    const CodePoint c = DecodeUtf8(text_, position);
    return {c.value, position + c.length_bytes, classes_[c.value]};
  }
  bool ByteIs(size_t position, char byte) const {
    return position < text_.size() && text_[position] == byte;
  }

  // The end of the longest run of characters from `position` for which `accept` holds.
  template <typename Accept>
  size_t Run(size_t position, const Accept& accept, size_t max_characters = kUnlimited) const {
    for (size_t count = 0; count < max_characters && !AtEnd(position); ++count) {
      const Character c = At(position);
      if (!accept(c)) break;
      position = c.end;
    }
    return position;
  }

  // The end of (?i:'s|'t|'re|'ve|'m|'ll|'d), or `position` where it does not match. Without regard
  // to case, s is also U+017F.
  size_t Contraction(size_t position, bool any_case) const {
    if (!ByteIs(position, '\'')) return position;
    const Character first = At(position + 1);
    const char32_t letter = Fold(first.value, any_case);
    if (letter == 's' || letter == 't' || letter == 'm' || letter == 'd') return first.end;
    const Character second = At(first.end);
    const char32_t next = Fold(second.value, any_case);
    const bool pair = (letter == 'r' && next == 'e') || (letter == 'v' && next == 'e') ||
                      (letter == 'l' && next == 'l');
    return pair ? second.end : position;
  }

  // White space from `position`, where there is some: \s*[\r\n]+|\s+(?!\S)|\s+, the first
  // alternative only with `newlines`.
  size_t Spaces(size_t position, bool newlines) const {
    size_t end = position;
    size_t last_begin = position;
    size_t newline_end = position;
    while (!AtEnd(end)) {
      const Character c = At(end);
      if (!c.Is(kClassSpace)) break;
      last_begin = end;
      end = c.end;
      if (c.IsNewline()) newline_end = end;
    }
    if (newlines && newline_end > position) return newline_end;
    if (AtEnd(end) || last_begin == position) return end;
    return last_begin;
  }

 private:
  static char32_t Fold(char32_t c, bool any_case) {
    if (!any_case) return c;
    if (c >= 'A' && c <= 'Z') return c + ('a' - 'A');
    return c == 0x17F ? U's' : c;
  }

  std::string_view text_;
  const CharacterClasses& classes_;
};

using Character = Scan::Character;

// Adapts a function "end of the match at this place, or the place itself" to the search interface.
template <typename Matcher>
class Scanner final : public TextPattern {
 public:
  explicit Scanner(Matcher matcher) : matcher_(matcher) {}

  Result<bool> FindNext(std::string_view text, size_t from, PatternScratch& /*scratch*/,
                        PatternMatch& match) const override {
    const Scan scan(text);
    for (size_t position = from; !scan.AtEnd(position); position = scan.At(position).end) {
      const size_t end = matcher_(scan, position);
      if (end > position) {
        match = {position, end};
        return true;
      }
    }
    return false;
  }

 private:
  Matcher matcher_;
};

template <typename Matcher>
std::unique_ptr<TextPattern> MakeScannerOf(Matcher matcher) {
  return std::make_unique<Scanner<Matcher>>(matcher);
}

struct Gpt2Matcher {
  size_t operator()(const Scan& scan, size_t position) const {
    const size_t contraction = scan.Contraction(position, false);
    if (contraction > position) return contraction;
    // ` ?` before a run of one class; a space that no run follows is left to the white space.
    const size_t start = scan.ByteIs(position, ' ') ? position + 1 : position;
    const Character first = scan.At(start);
    if (scan.AtEnd(start) || first.Is(kClassSpace)) return scan.Spaces(position, false);
    constexpr int kClasses = kClassLetter | kClassNumber | kClassSpace;
    const int mask = first.bits & kClasses;
    return scan.Run(first.end, [&](const Character& c) { return (c.bits & kClasses) == mask; });
  }
};

// Llama 3, Qwen and their kin:
// (?i:'s|...)|[^\r\n\p{L}\p{N}]?W+|\p{N}{1,n}| ?[^\s W \p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// where W is \p{L}, or [\p{L}\p{M}].
struct Llama3Matcher {
  int word_mask;
  size_t max_digits;

  size_t operator()(const Scan& scan, size_t position) const {
    const size_t contraction = scan.Contraction(position, true);
    if (contraction > position) return contraction;
    const auto is_word = [&](const Character& c) { return c.Is(word_mask); };
    const Character first = scan.At(position);
    if (first.Is(kClassLetter)) return scan.Run(first.end, is_word);
    if (first.Is(kClassNumber)) {
      return scan.Run(
          position, [](const Character& c) { return c.Is(kClassNumber); }, max_digits);
    }
    if (!first.IsNewline()) {
      const Character second = scan.At(first.end);
      if (second.Is(word_mask)) return scan.Run(second.end, is_word);
      if (first.Is(word_mask)) return first.end;
    }
    const int excluded = kClassSpace | kClassNumber | word_mask;
    const size_t start = scan.ByteIs(position, ' ') ? position + 1 : position;
    const size_t end = scan.Run(start, [&](const Character& c) { return !c.Is(excluded); });
    if (end > start) {
      return scan.Run(end, [](const Character& c) { return c.IsNewline(); });
    }
    return scan.Spaces(position, true);
  }
};

// GPT-4o and Tekken:
// X?U*L+(contraction)?|X?U+L*(contraction)?|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n/]*|white space
// where X is [^\r\n\p{L}\p{N}], U [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and L [\p{Ll}\p{Lm}\p{Lo}\p{M}].
struct CasedMatcher {
  bool contractions;
  size_t max_digits;

  static bool IsUpper(const Character& c) {
    return c.Is(kClassLetter | kClassMark) && !c.Is(kClassLower);
  }
  static bool IsLower(const Character& c) {
    return c.Is(kClassLetter | kClassMark) && !c.Is(kClassUpper);
  }

  // U*L+ at `position`, or `position`. U* gives back characters until L+ finds one: what remains is
  // the last character of the run of U that is in L too.
  static size_t UpperThenLower(const Scan& scan, size_t position) {
    size_t end = position;
    size_t shared_end = position;
    while (!scan.AtEnd(end)) {
      const Character c = scan.At(end);
      if (!IsUpper(c)) break;
      end = c.end;
      if (IsLower(c)) shared_end = end;
    }
    const size_t lower_end = scan.Run(end, IsLower);
    return lower_end > end ? lower_end : shared_end;
  }

  size_t operator()(const Scan& scan, size_t position) const {
    const Character first = scan.At(position);
    const bool may_lead = !first.IsNewline() && !first.Is(kClassLetter | kClassNumber);
    size_t end = position;
    if (may_lead) {
      end = UpperThenLower(scan, first.end);
      if (end == first.end) end = position;
    }
    if (end == position) end = UpperThenLower(scan, position);
    if (end == position && may_lead) {
      end = scan.Run(first.end, IsUpper);
      if (end == first.end) end = position;
    }
    if (end == position) end = scan.Run(position, IsUpper);
    if (end > position) return contractions ? scan.Contraction(end, true) : end;

    if (first.Is(kClassNumber)) {
      return scan.Run(
          position, [](const Character& c) { return c.Is(kClassNumber); }, max_digits);
    }
    const int excluded = kClassSpace | kClassLetter | kClassNumber;
    const size_t start = scan.ByteIs(position, ' ') ? position + 1 : position;
    end = scan.Run(start, [&](const Character& c) { return !c.Is(excluded); });
    if (end > start) {
      return scan.Run(end, [](const Character& c) { return c.IsNewline() || c.value == '/'; });
    }
    return scan.Spaces(position, true);
  }
};

// DeepSeek's third expression:
// [ASCII punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|white
// space
struct DeepSeekMatcher {
  static bool IsAsciiLetter(const Character& c) {
    return (c.value >= 'a' && c.value <= 'z') || (c.value >= 'A' && c.value <= 'Z');
  }

  size_t operator()(const Scan& scan, size_t position) const {
    constexpr int kWord = kClassLetter | kClassMark;
    constexpr int kMarkup = kClassPunctuation | kClassSymbol;
    const auto is_word = [](const Character& c) { return c.Is(kWord); };
    const auto is_markup = [](const Character& c) { return c.Is(kMarkup); };
    const Character first = scan.At(position);
    if (first.value < 0x80 && first.Is(kMarkup)) {
      const size_t end = scan.Run(first.end, IsAsciiLetter);
      if (end > first.end) return end;
    }
    if (!first.IsNewline() && !first.Is(kClassLetter | kMarkup)) {
      const size_t end = scan.Run(first.end, is_word);
      if (end > first.end) return end;
    }
    if (first.Is(kWord)) return scan.Run(first.end, is_word);
    const size_t start = scan.ByteIs(position, ' ') ? position + 1 : position;
    const size_t end = scan.Run(start, is_markup);
    if (end > start) {
      return scan.Run(end, [](const Character& c) { return c.IsNewline(); });
    }
    return first.Is(kClassSpace) ? scan.Spaces(position, true) : position;
  }
};

// \p{N}{1,n}
struct DigitsMatcher {
  size_t max_digits;
  size_t operator()(const Scan& scan, size_t position) const {
    return scan.Run(
        position, [](const Character& c) { return c.Is(kClassNumber); }, max_digits);
  }
};

// DeepSeek's ideographs, hiragana and katakana.
struct CjkMatcher {
  size_t operator()(const Scan& scan, size_t position) const {
    return scan.Run(position, [](const Character& c) {
      return (c.value >= 0x4E00 && c.value <= 0x9FA5) || (c.value >= 0x3040 && c.value <= 0x30FF);
    });
  }
};

}  // namespace

std::unique_ptr<TextPattern> MakeScanner(std::string_view written) {
  // Some files write line ends as characters, others as escapes.
  std::string expression;
  for (const char c : written) {
    if (c == '\r') {
      expression += "\\r";
    } else if (c == '\n') {
      expression += "\\n";
    } else {
      expression += c;
    }
  }
  const std::string contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  const std::string spaces = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::string others = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)" + spaces;
  const std::string upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
  const std::string lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
  const std::string lead = R"([^\r\n\p{L}\p{N}]?)";

  if (expression == kGpt2Expression) return MakeScannerOf(Gpt2Matcher{});
  for (const auto& [digits, max_digits] : {std::pair<std::string, size_t>{R"(|\p{N})", 1},
                                           {R"(|\p{N}{1,3})", 3},
                                           {R"(|\p{N}+)", kUnlimited}}) {
    if (expression == contractions + "|" + lead + R"(\p{L}+)" + digits + others) {
      return MakeScannerOf(Llama3Matcher{kClassLetter, max_digits});
    }
    if (expression == contractions + "|" + lead + R"([\p{L}\p{M}]+)" + digits +
                          R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" + spaces) {
      return MakeScannerOf(Llama3Matcher{kClassLetter | kClassMark, max_digits});
    }
    for (const bool with_contractions : {false, true}) {
      const std::string tail = with_contractions ? contractions + "?" : "";
      if (expression == lead + upper + "*" + lower + "+" + tail + "|" + lead + upper + "+" + lower +
                            "*" + tail + digits + R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)" + spaces) {
        return MakeScannerOf(CasedMatcher{with_contractions, max_digits});
      }
    }
    if (expression == digits.substr(1)) return MakeScannerOf(DigitsMatcher{max_digits});
  }
  if (expression == "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+") {
    return MakeScannerOf(CjkMatcher{});
  }
  if (expression == R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?)"
                    R"([\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)" +
                        spaces) {
    return MakeScannerOf(DeepSeekMatcher{});
  }
  return nullptr;
}

}  // namespace fastkv
