// The grammar of expressions, one function a level of precedence, as in jinja2.
#ifndef FASTKV_TEXT_JINJA_EXPRESSION_PARSER_H_
#define FASTKV_TEXT_JINJA_EXPRESSION_PARSER_H_

#include <string_view>
#include <vector>

#include "text/jinja/parser_base.h"

namespace fastkv::jinja {

class ExpressionParser : public ParserBase {
 protected:
  using ParserBase::ParserBase;

  // What may stand where a tuple without parentheses can stand.
  struct TupleRules {
    bool simplified = false;         // only names and literals: targets of assignments
    bool conditional = true;         // `a if b` may appear in it
    std::string_view end_name = {};  // a name that ends it, such as "in"
    bool parentheses = false;        // already inside parentheses: may be empty
  };
  Result<NodeId> ParseTuple(const TupleRules& rules);
  Result<NodeId> ParseExpression() { return ParseConditional(); }
  // `| name(...)` any number of times onto `value`. `started`: the first name stands without its
  // bar.
  Result<NodeId> ParseFilters(NodeId value, bool started);

 private:
  // NOLINTBEGIN(misc-no-recursion): bounded by Nesting
  Result<NodeId> ParseConditional();
  Result<NodeId> ParseOr();
  Result<NodeId> ParseAnd();
  Result<NodeId> ParseNot();
  Result<NodeId> ParseCompare();
  Result<NodeId> ParseSum();
  Result<NodeId> ParseConcat();
  Result<NodeId> ParseProduct();
  Result<NodeId> ParsePower();
  Result<NodeId> ParseUnary(bool with_filters);
  Result<NodeId> ParsePrimary();
  Result<NodeId> ParseList();
  Result<NodeId> ParseDict();
  Result<NodeId> ParsePostfix(NodeId value);
  Result<NodeId> ParseFilterExpression(NodeId value);
  Result<NodeId> ParseSubscript(NodeId value);
  Result<NodeId> ParseTest(NodeId value);
  Result<NodeId> ParseCall(NodeId value);
  Status ParseArguments(ArgumentNodes* arguments);
  // NOLINTEND(misc-no-recursion)

  Result<NodeId> AddBinary(ExpressionKind kind, NodeId left, NodeId right);
  // `name`, also with dots in it.
  Result<std::string> TakeDottedName();
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_EXPRESSION_PARSER_H_
