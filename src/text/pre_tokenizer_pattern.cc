#include "text/pre_tokenizer_pattern.h"

#include <string>

namespace fastkv {
namespace {

class LiteralPattern final : public TextPattern {
 public:
  explicit LiteralPattern(std::string text) : text_(std::move(text)) {}

  Result<bool> FindNext(std::string_view text, size_t from, PatternScratch& /*scratch*/,
                        PatternMatch& match) const override {
    // An empty string matches nowhere rather than everywhere.
    if (text_.empty()) return false;
    const size_t found = text.find(text_, from);
    if (found == std::string_view::npos) return false;
    match = {found, found + text_.size()};
    return true;
  }

 private:
  std::string text_;
};

}  // namespace

Result<std::unique_ptr<TextPattern>> MakeTextPattern(const PatternSpec& spec) {
  if (!spec.is_regex) return std::unique_ptr<TextPattern>(new LiteralPattern(spec.text));
  std::unique_ptr<TextPattern> scanner = MakeScanner(spec.text);
  if (scanner != nullptr) return scanner;
  return MakeRegexPattern(spec.text);
}

}  // namespace fastkv
