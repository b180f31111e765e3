// Cuts normalized text into the pieces that are tokenized one by one.
#ifndef FASTKV_TEXT_PRE_TOKENIZER_H_
#define FASTKV_TEXT_PRE_TOKENIZER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/pre_tokenizer_pattern.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// Takes pieces as they are cut, in order.
class PieceSink {
 public:
  virtual ~PieceSink() = default;
  // `piece` is not empty, valid UTF-8, and gone after the call.
  virtual void Take(std::string_view piece) = 0;
};

// Thread-safe when const.
class PreTokenizer {
 public:
  // Errors: kFormat, kUnsupported for patterns; kLimit for more than 64 steps.
  static Result<PreTokenizer> Create(const std::vector<PreTokenizerSpec>& specs);

  // `at_text_start`: the text is the start of what the user gave (Metaspace may treat it apart).
  // Errors: kLimit when a pattern takes too long.
  Status Cut(std::string_view text, bool at_text_start, PatternScratch& scratch,
             PieceSink& sink) const;

  // The last step writes pieces in the alphabet of bytes; they are handed out as plain bytes, and
  // the caller takes them as written.
  bool pieces_are_bytes() const { return pieces_are_bytes_; }

 private:
  struct Step {
    PreTokenizerSpec spec;
    std::unique_ptr<TextPattern>
        pattern;  // kSplit, kByteLevel with use_regex, kMetaspace with split
  };
  struct Run;

  PreTokenizer() = default;
  Status RunStep(size_t index, std::string_view text, bool at_text_start, Run& run) const;
  Status RunByteLevel(size_t index, std::string_view text, bool at_text_start, Run& run) const;
  Status RunMetaspace(size_t index, std::string_view text, bool at_text_start, Run& run) const;
  Status SplitAtPattern(size_t index, std::string_view text, bool at_text_start, Run& run) const;
  template <typename Accept>
  Status SplitAtCharacters(size_t index, std::string_view text, bool at_text_start,
                           SplitBehavior behavior, const Accept& accept, Run& run) const;

  std::vector<Step> steps_;
  bool pieces_are_bytes_ = false;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_PRE_TOKENIZER_H_
