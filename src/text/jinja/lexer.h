// Splits a template into tokens as jinja2 does with trim_blocks and lstrip_blocks on and
// keep_trailing_newline off.
//
// Thread-safety: none; a lexer belongs to one parse.
#ifndef FASTKV_TEXT_JINJA_LEXER_H_
#define FASTKV_TEXT_JINJA_LEXER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/jinja/value.h"

namespace fastkv::jinja {

enum class TokenType : uint8_t {
  kEnd,
  kData,           // text between tags
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
};

struct Token {
  TokenType type = TokenType::kEnd;
  int line = 1;
  std::string text;  // data, a name, an operator, or a string with its escapes resolved
  Int128 integer = 0;
  double real = 0;

  bool IsName(std::string_view name) const { return type == TokenType::kName && text == name; }
  bool IsOperator(std::string_view symbol) const {
    return type == TokenType::kOperator && text == symbol;
  }
};

class Lexer {
 public:
  // Errors: kFormat when `source` is not UTF-8.
  static Result<Lexer> Of(std::string_view source);

  // The next token; kEnd at and after the end. Errors: kFormat with the line.
  Result<Token> Next();

 private:
  enum class State : uint8_t { kData, kBlock, kVariable, kRawEnd };

  Lexer() = default;
  Status Error(std::string_view message) const;
  // Template text up to the next tag; may be empty when a tag follows at once.
  Result<Token> NextData();
  // A token inside {{ }} or {% %}.
  Result<Token> NextInTag();
  Result<Token> NextRaw();
  Status SkipComment();
  // Whether a tag end stands here; `size` gets its length with the white space it swallows.
  bool AtTagEnd(std::string_view end, bool trims_newline, size_t* size) const;
  // Whether {% raw %} or {% endraw %} stands here.
  bool AtRawTag(std::string_view name, bool trims_newline, size_t* size) const;
  // What is left of the text before a tag after the white space control of that tag.
  std::string_view StripBeforeTag(std::string_view text, char sign, bool strips_line) const;
  void Advance(size_t size);
  size_t SkipSpace(size_t offset) const;

  Result<Token> LexNumber();
  Result<Token> LexString();
  Result<Token> LexOperator();

  std::string source_;  // line ends are "\n"
  size_t position_ = 0;
  int line_ = 1;
  State state_ = State::kData;
  bool line_starting_ = true;  // the last match ended a line
  std::vector<char> brackets_;
};

// Resolves the escapes of a string literal as Python does, line breaks already normalised.
// Errors: kFormat for cut or invalid escapes, kUnsupported for \N{...} and lone surrogates.
Result<std::string> Unescape(std::string_view literal);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_LEXER_H_
