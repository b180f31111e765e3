// What the statement and the expression parser share: the token stream, the tree being built, and
// the depth and size limits.
#ifndef FASTKV_TEXT_JINJA_PARSER_BASE_H_
#define FASTKV_TEXT_JINJA_PARSER_BASE_H_

#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace fastkv::jinja {

class ParserBase {
 protected:
  // Bounds the memory of a tree at some ten megabytes; published templates have a few thousand
  // nodes.
  static constexpr size_t kMaxNodes = 50'000;

  ParserBase(Lexer lexer, Tree* tree) : lexer_(std::move(lexer)), tree_(tree) {}

  // Must be called once before anything else. Errors of all: as ParseTemplate.
  Status Start();
  Status Skip();
  // Skips the token if it is that name or operator, and says so in `found`.
  Status SkipName(std::string_view name, bool* found);
  Status SkipOperator(std::string_view symbol, bool* found);
  Status ExpectOperator(std::string_view symbol);
  Status ExpectName(std::string_view name);
  Status Expect(TokenType type, std::string_view what);
  // A name of the template's choice, not a keyword in a fixed place.
  Result<std::string> TakeName();

  const Token& current() const { return current_; }
  const Token& following() const { return following_; }
  bool AtOperator(std::string_view symbol) const { return current_.IsOperator(symbol); }
  bool AtName(std::string_view name) const { return current_.IsName(name); }

  Status Error(std::string_view message) const;
  Status Unexpected() const;

  Result<NodeId> AddExpression(Expression expression);
  Result<NodeId> AddStatement(Statement statement);
  Expression& expression(NodeId id) { return tree_->expressions[id]; }
  Tree& tree() { return *tree_; }
  // A trusted text that lives as long as the tree.
  TextBuffer* AddText(std::string_view text);

  // Counts one level of nesting while it lives.
  class Nesting {
   public:
    explicit Nesting(ParserBase* parser) : parser_(parser) { ++parser_->depth_; }
    ~Nesting() { --parser_->depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    Status Check() const;

   private:
    ParserBase* parser_;
  };

 private:
  Lexer lexer_;
  Tree* tree_;
  Token current_;
  Token following_;
  int depth_ = 0;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_PARSER_BASE_H_
