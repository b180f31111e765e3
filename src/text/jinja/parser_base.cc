#include "text/jinja/parser_base.h"

namespace fastkv::jinja {
namespace {

std::string Describe(const Token& token) {
  switch (token.type) {
    case TokenType::kEnd:
      return "the end of the template";
    case TokenType::kData:
      return "text";
    case TokenType::kVariableBegin:
      return "'{{'";
    case TokenType::kVariableEnd:
      return "'}}'";
    case TokenType::kBlockBegin:
      return "'{%'";
    case TokenType::kBlockEnd:
      return "'%}'";
    case TokenType::kInteger:
    case TokenType::kFloat:
      return "a number";
    case TokenType::kString:
      return "a string";
    case TokenType::kName:
    case TokenType::kOperator:
      return "'" + token.text + "'";
  }
  return "a token";
}

}  // namespace

Status ParserBase::Start() {
  FASTKV_ASSIGN_OR_RETURN(current_, lexer_.Next());
  FASTKV_ASSIGN_OR_RETURN(following_, lexer_.Next());
  return OkStatus();
}

Status ParserBase::Skip() {
  current_ = std::move(following_);
  FASTKV_ASSIGN_OR_RETURN(following_, lexer_.Next());
  return OkStatus();
}

Status ParserBase::SkipName(std::string_view name, bool* found) {
  *found = AtName(name);
  return *found ? Skip() : OkStatus();
}

Status ParserBase::SkipOperator(std::string_view symbol, bool* found) {
  *found = AtOperator(symbol);
  return *found ? Skip() : OkStatus();
}

Status ParserBase::ExpectOperator(std::string_view symbol) {
  if (!AtOperator(symbol)) {
    return Error("expected '" + std::string(symbol) + "', found " + Describe(current_));
  }
  return Skip();
}

Status ParserBase::ExpectName(std::string_view name) {
  if (!AtName(name)) {
    return Error("expected '" + std::string(name) + "', found " + Describe(current_));
  }
  return Skip();
}

Status ParserBase::Expect(TokenType type, std::string_view what) {
  if (current_.type != type) {
    return Error("expected " + std::string(what) + ", found " + Describe(current_));
  }
  return Skip();
}

Result<std::string> ParserBase::TakeName() {
  if (current_.type != TokenType::kName) {
    return Error("expected a name, found " + Describe(current_));
  }
  std::string name = std::move(current_.text);
  FASTKV_RETURN_IF_ERROR(Skip());
  return name;
}

Status ParserBase::Error(std::string_view message) const {
  return FormatError("line " + std::to_string(current_.line) + ": " + std::string(message));
}

Status ParserBase::Unexpected() const { return Error("unexpected " + Describe(current_)); }

Result<NodeId> ParserBase::AddExpression(Expression expression) {
  if (tree_->expressions.size() >= kMaxNodes) {
    return LimitError("line " + std::to_string(current_.line) + ": the template has more than " +
                      std::to_string(kMaxNodes) + " expressions");
  }
  tree_->expressions.push_back(std::move(expression));
  return static_cast<NodeId>(tree_->expressions.size() - 1);
}

Result<NodeId> ParserBase::AddStatement(Statement statement) {
  if (tree_->statements.size() >= kMaxNodes) {
    return LimitError("line " + std::to_string(current_.line) + ": the template has more than " +
                      std::to_string(kMaxNodes) + " statements");
  }
  tree_->statements.push_back(std::move(statement));
  return static_cast<NodeId>(tree_->statements.size() - 1);
}

TextBuffer* ParserBase::AddText(std::string_view text) {
  tree_->texts.push_back(std::make_unique<TextBuffer>());
  tree_->texts.back()->Append(text, true);
  return tree_->texts.back().get();
}

Status ParserBase::Nesting::Check() const {
  if (parser_->depth_ <= limits::kMaxTemplateDepth) return OkStatus();
  return LimitError("line " + std::to_string(parser_->current_.line) +
                    ": the template is nested deeper than " +
                    std::to_string(limits::kMaxTemplateDepth) + " levels");
}

}  // namespace fastkv::jinja
