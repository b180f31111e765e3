// Changes text before it is cut into pieces, and follows which bytes may be trusted.
#ifndef FASTKV_TEXT_NORMALIZER_H_
#define FASTKV_TEXT_NORMALIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/pre_tokenizer_pattern.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// A text and, where it matters, whether each of its bytes is trusted.
struct NormalizedText {
  std::string_view text;
  std::vector<uint8_t> trusted;  // one a byte, 1 = trusted; empty: not followed
};

// Thread-safe when const.
class Normalizer {
 public:
  // Memory for the text between two steps. Not thread-safe.
  struct Scratch {
    std::string current;
    std::string next;
  };

  // Errors: kFormat, kUnsupported for patterns.
  static Result<Normalizer> Create(const std::vector<NormalizerSpec>& specs);

  bool empty() const { return steps_.empty(); }

  // Changes `text` in place; the result may point into `scratch`. A byte made from several is
  // trusted where all of them are; one made from none is trusted. Errors: kLimit when a pattern
  // takes too long.
  Status Normalize(NormalizedText& text, Scratch& scratch, PatternScratch& patterns) const;

 private:
  struct Step {
    NormalizerSpec spec;
    std::unique_ptr<TextPattern> pattern;  // kReplace
  };
  class Writer;

  Normalizer() = default;
  // False when the step leaves the text as it is.
  static Result<bool> Apply(const Step& step, std::string_view text, PatternScratch& patterns,
                            Writer& writer);

  std::vector<Step> steps_;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_NORMALIZER_H_
