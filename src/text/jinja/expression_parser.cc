#include "text/jinja/expression_parser.h"

#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

namespace fastkv::jinja {
namespace {

std::optional<Comparison> ComparisonOf(const Token& token) {
  if (token.type != TokenType::kOperator) return std::nullopt;
  if (token.text == "==") return Comparison::kEqual;
  if (token.text == "!=") return Comparison::kNotEqual;
  if (token.text == "<") return Comparison::kLess;
  if (token.text == "<=") return Comparison::kLessEqual;
  if (token.text == ">") return Comparison::kGreater;
  if (token.text == ">=") return Comparison::kGreaterEqual;
  return std::nullopt;
}

std::optional<BinaryOperator> ProductOf(const Token& token) {
  if (token.type != TokenType::kOperator) return std::nullopt;
  if (token.text == "*") return BinaryOperator::kMultiply;
  if (token.text == "/") return BinaryOperator::kDivide;
  if (token.text == "//") return BinaryOperator::kFloorDivide;
  if (token.text == "%") return BinaryOperator::kModulo;
  return std::nullopt;
}

}  // namespace

Result<NodeId> ExpressionParser::AddBinary(ExpressionKind kind, NodeId left, NodeId right) {
  Expression node;
  node.kind = kind;
  node.line = current().line;
  node.left = left;
  node.right = right;
  return AddExpression(std::move(node));
}

Result<NodeId> ExpressionParser::ParseTuple(const TupleRules& rules) {
  Expression tuple;
  tuple.kind = ExpressionKind::kTuple;
  tuple.line = current().line;
  bool is_tuple = false;
  while (true) {
    if (!tuple.items.empty()) FASTKV_RETURN_IF_ERROR(ExpectOperator(","));
    if (current().type == TokenType::kVariableEnd || current().type == TokenType::kBlockEnd ||
        AtOperator(")") || (!rules.end_name.empty() && AtName(rules.end_name))) {
      break;
    }
    Result<NodeId> item = rules.simplified    ? ParsePrimary()
                          : rules.conditional ? ParseConditional()
                                              : ParseOr();
    FASTKV_ASSIGN_OR_RETURN(const NodeId id, std::move(item));
    tuple.items.push_back(id);
    if (!AtOperator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!tuple.items.empty()) return tuple.items[0];
    if (!rules.parentheses) return Unexpected();
  }
  return AddExpression(std::move(tuple));
}

Result<NodeId> ExpressionParser::ParseConditional() {
  const Nesting nesting(this);
  FASTKV_RETURN_IF_ERROR(nesting.Check());
  FASTKV_ASSIGN_OR_RETURN(NodeId value, ParseOr());
  while (AtName("if")) {
    Expression node;
    node.kind = ExpressionKind::kConditional;
    node.line = current().line;
    node.left = value;
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId condition, ParseOr());
    node.items = {condition};
    bool has_else = false;
    FASTKV_RETURN_IF_ERROR(SkipName("else", &has_else));
    if (has_else) {
      FASTKV_ASSIGN_OR_RETURN(node.right, ParseConditional());
    }
    FASTKV_ASSIGN_OR_RETURN(value, AddExpression(std::move(node)));
  }
  return value;
}

Result<NodeId> ExpressionParser::ParseOr() {
  FASTKV_ASSIGN_OR_RETURN(NodeId left, ParseAnd());
  while (AtName("or")) {
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId right, ParseAnd());
    FASTKV_ASSIGN_OR_RETURN(left, AddBinary(ExpressionKind::kOr, left, right));
  }
  return left;
}

Result<NodeId> ExpressionParser::ParseAnd() {
  FASTKV_ASSIGN_OR_RETURN(NodeId left, ParseNot());
  while (AtName("and")) {
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId right, ParseNot());
    FASTKV_ASSIGN_OR_RETURN(left, AddBinary(ExpressionKind::kAnd, left, right));
  }
  return left;
}

Result<NodeId> ExpressionParser::ParseNot() {
  if (!AtName("not")) return ParseCompare();
  const Nesting nesting(this);
  FASTKV_RETURN_IF_ERROR(nesting.Check());
  FASTKV_RETURN_IF_ERROR(Skip());
  FASTKV_ASSIGN_OR_RETURN(const NodeId operand, ParseNot());
  return AddBinary(ExpressionKind::kNot, operand, kNoNode);
}

Result<NodeId> ExpressionParser::ParseCompare() {
  Expression node;
  node.kind = ExpressionKind::kCompare;
  node.line = current().line;
  FASTKV_ASSIGN_OR_RETURN(node.left, ParseSum());
  while (true) {
    std::optional<Comparison> comparison = ComparisonOf(current());
    if (!comparison && AtName("in")) comparison = Comparison::kIn;
    if (!comparison && AtName("not") && following().IsName("in")) {
      comparison = Comparison::kNotIn;
      FASTKV_RETURN_IF_ERROR(Skip());
    }
    if (!comparison) break;
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId operand, ParseSum());
    node.comparisons.push_back(*comparison);
    node.items.push_back(operand);
  }
  if (node.items.empty()) return node.left;
  return AddExpression(std::move(node));
}

Result<NodeId> ExpressionParser::ParseSum() {
  FASTKV_ASSIGN_OR_RETURN(NodeId left, ParseConcat());
  while (AtOperator("+") || AtOperator("-")) {
    const BinaryOperator binary =
        AtOperator("+") ? BinaryOperator::kAdd : BinaryOperator::kSubtract;
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId right, ParseConcat());
    FASTKV_ASSIGN_OR_RETURN(left, AddBinary(ExpressionKind::kBinary, left, right));
    expression(left).binary = binary;
  }
  return left;
}

Result<NodeId> ExpressionParser::ParseConcat() {
  FASTKV_ASSIGN_OR_RETURN(const NodeId first, ParseProduct());
  if (!AtOperator("~")) return first;
  Expression node;
  node.kind = ExpressionKind::kConcat;
  node.line = current().line;
  node.items = {first};
  while (AtOperator("~")) {
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId item, ParseProduct());
    node.items.push_back(item);
  }
  return AddExpression(std::move(node));
}

Result<NodeId> ExpressionParser::ParseProduct() {
  FASTKV_ASSIGN_OR_RETURN(NodeId left, ParsePower());
  while (const std::optional<BinaryOperator> binary = ProductOf(current())) {
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId right, ParsePower());
    FASTKV_ASSIGN_OR_RETURN(left, AddBinary(ExpressionKind::kBinary, left, right));
    expression(left).binary = *binary;
  }
  return left;
}

Result<NodeId> ExpressionParser::ParsePower() {
  FASTKV_ASSIGN_OR_RETURN(NodeId left, ParseUnary(true));
  while (AtOperator("**")) {
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId right, ParseUnary(true));
    FASTKV_ASSIGN_OR_RETURN(left, AddBinary(ExpressionKind::kBinary, left, right));
    expression(left).binary = BinaryOperator::kPower;
  }
  return left;
}

Result<NodeId> ExpressionParser::ParseUnary(bool with_filters) {
  NodeId value = kNoNode;
  if (AtOperator("-") || AtOperator("+")) {
    const Nesting nesting(this);
    FASTKV_RETURN_IF_ERROR(nesting.Check());
    const ExpressionKind kind = AtOperator("-") ? ExpressionKind::kNegate : ExpressionKind::kPlus;
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const NodeId operand, ParseUnary(false));
    FASTKV_ASSIGN_OR_RETURN(value, AddBinary(kind, operand, kNoNode));
  } else {
    FASTKV_ASSIGN_OR_RETURN(value, ParsePrimary());
  }
  FASTKV_ASSIGN_OR_RETURN(value, ParsePostfix(value));
  return with_filters ? ParseFilterExpression(value) : value;
}

Result<NodeId> ExpressionParser::ParsePrimary() {
  Expression node;
  node.line = current().line;
  const Token& token = current();
  switch (token.type) {
    case TokenType::kName:
      if (token.text == "true" || token.text == "True") {
        node.constant = Value::Bool(true);
      } else if (token.text == "false" || token.text == "False") {
        node.constant = Value::Bool(false);
      } else if (token.text == "none" || token.text == "None") {
        node.constant = Value::None();
      } else {
        node.kind = ExpressionKind::kName;
        node.name = token.text;
      }
      FASTKV_RETURN_IF_ERROR(Skip());
      return AddExpression(std::move(node));
    case TokenType::kString: {
      std::string text;
      while (current().type == TokenType::kString) {
        text += current().text;
        FASTKV_RETURN_IF_ERROR(Skip());
      }
      node.constant = Value::String({AddText(text), 0, static_cast<uint32_t>(text.size())});
      return AddExpression(std::move(node));
    }
    case TokenType::kInteger:
      node.constant = Value::Int(token.integer);
      FASTKV_RETURN_IF_ERROR(Skip());
      return AddExpression(std::move(node));
    case TokenType::kFloat:
      node.constant = Value::Float(token.real);
      FASTKV_RETURN_IF_ERROR(Skip());
      return AddExpression(std::move(node));
    case TokenType::kOperator:
      if (token.text == "(") {
        FASTKV_RETURN_IF_ERROR(Skip());
        FASTKV_ASSIGN_OR_RETURN(const NodeId value, ParseTuple({.parentheses = true}));
        FASTKV_RETURN_IF_ERROR(ExpectOperator(")"));
        return value;
      }
      if (token.text == "[") return ParseList();
      if (token.text == "{") return ParseDict();
      return Unexpected();
    default:
      return Unexpected();
  }
}

Result<NodeId> ExpressionParser::ParseList() {
  Expression node;
  node.kind = ExpressionKind::kList;
  node.line = current().line;
  FASTKV_RETURN_IF_ERROR(ExpectOperator("["));
  while (!AtOperator("]")) {
    if (!node.items.empty()) FASTKV_RETURN_IF_ERROR(ExpectOperator(","));
    if (AtOperator("]")) break;
    FASTKV_ASSIGN_OR_RETURN(const NodeId item, ParseConditional());
    node.items.push_back(item);
  }
  FASTKV_RETURN_IF_ERROR(ExpectOperator("]"));
  return AddExpression(std::move(node));
}

Result<NodeId> ExpressionParser::ParseDict() {
  Expression node;
  node.kind = ExpressionKind::kDict;
  node.line = current().line;
  FASTKV_RETURN_IF_ERROR(ExpectOperator("{"));
  while (!AtOperator("}")) {
    if (!node.items.empty()) FASTKV_RETURN_IF_ERROR(ExpectOperator(","));
    if (AtOperator("}")) break;
    FASTKV_ASSIGN_OR_RETURN(const NodeId key, ParseConditional());
    FASTKV_RETURN_IF_ERROR(ExpectOperator(":"));
    FASTKV_ASSIGN_OR_RETURN(const NodeId value, ParseConditional());
    node.items.push_back(key);
    node.items.push_back(value);
  }
  FASTKV_RETURN_IF_ERROR(ExpectOperator("}"));
  return AddExpression(std::move(node));
}

Result<NodeId> ExpressionParser::ParsePostfix(NodeId value) {
  while (true) {
    if (AtOperator(".") || AtOperator("[")) {
      FASTKV_ASSIGN_OR_RETURN(value, ParseSubscript(value));
    } else if (AtOperator("(")) {
      FASTKV_ASSIGN_OR_RETURN(value, ParseCall(value));
    } else {
      return value;
    }
  }
}

Result<NodeId> ExpressionParser::ParseFilterExpression(NodeId value) {
  while (true) {
    if (AtOperator("|")) {
      FASTKV_ASSIGN_OR_RETURN(value, ParseFilters(value, false));
    } else if (AtName("is")) {
      FASTKV_ASSIGN_OR_RETURN(value, ParseTest(value));
    } else if (AtOperator("(")) {
      FASTKV_ASSIGN_OR_RETURN(value, ParseCall(value));
    } else {
      return value;
    }
  }
}

Result<NodeId> ExpressionParser::ParseSubscript(NodeId value) {
  Expression node;
  node.line = current().line;
  node.left = value;
  bool dot = false;
  FASTKV_RETURN_IF_ERROR(SkipOperator(".", &dot));
  if (dot) {
    if (current().type == TokenType::kName) {
      node.kind = ExpressionKind::kAttribute;
      FASTKV_ASSIGN_OR_RETURN(node.name, TakeName());
      return AddExpression(std::move(node));
    }
    if (current().type != TokenType::kInteger) return Unexpected();
    node.kind = ExpressionKind::kItem;
    FASTKV_ASSIGN_OR_RETURN(node.right, ParsePrimary());
    return AddExpression(std::move(node));
  }
  FASTKV_RETURN_IF_ERROR(ExpectOperator("["));
  node.kind = ExpressionKind::kItem;
  if (!AtOperator(":")) {
    FASTKV_ASSIGN_OR_RETURN(node.right, ParseConditional());
    if (AtOperator(",")) {
      return UnsupportedError("line " + std::to_string(node.line) +
                              ": a subscript of several parts is not supported");
    }
  }
  if (AtOperator(":")) {
    node.kind = ExpressionKind::kSlice;
    node.items = {node.right, kNoNode, kNoNode};
    node.right = kNoNode;
    for (size_t part = 1; part < 3 && AtOperator(":"); ++part) {
      FASTKV_RETURN_IF_ERROR(Skip());
      if (AtOperator(":") || AtOperator("]")) continue;
      FASTKV_ASSIGN_OR_RETURN(node.items[part], ParseConditional());
    }
  }
  FASTKV_RETURN_IF_ERROR(ExpectOperator("]"));
  return AddExpression(std::move(node));
}

Result<std::string> ExpressionParser::TakeDottedName() {
  FASTKV_ASSIGN_OR_RETURN(std::string name, TakeName());
  while (AtOperator(".")) {
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(const std::string part, TakeName());
    name += "." + part;
  }
  return name;
}

Result<NodeId> ExpressionParser::ParseTest(NodeId value) {
  Expression node;
  node.kind = ExpressionKind::kTest;
  node.line = current().line;
  node.left = value;
  node.arguments = std::make_unique<ArgumentNodes>();
  FASTKV_RETURN_IF_ERROR(ExpectName("is"));
  bool negated = false;
  FASTKV_RETURN_IF_ERROR(SkipName("not", &negated));
  FASTKV_ASSIGN_OR_RETURN(node.name, TakeDottedName());
  const TokenType type = current().type;
  if (AtOperator("(")) {
    FASTKV_RETURN_IF_ERROR(ParseArguments(node.arguments.get()));
  } else if ((type == TokenType::kName && !AtName("else") && !AtName("or") && !AtName("and")) ||
             type == TokenType::kString || type == TokenType::kInteger ||
             type == TokenType::kFloat || AtOperator("[") || AtOperator("{")) {
    if (AtName("is")) return Error("tests cannot be chained with 'is'");
    FASTKV_ASSIGN_OR_RETURN(NodeId argument, ParsePrimary());
    FASTKV_ASSIGN_OR_RETURN(argument, ParsePostfix(argument));
    node.arguments->positional = {argument};
  }
  FASTKV_ASSIGN_OR_RETURN(const NodeId test, AddExpression(std::move(node)));
  return negated ? AddBinary(ExpressionKind::kNot, test, kNoNode) : test;
}

Result<NodeId> ExpressionParser::ParseCall(NodeId value) {
  Expression node;
  node.kind = ExpressionKind::kCall;
  node.line = current().line;
  node.left = value;
  node.arguments = std::make_unique<ArgumentNodes>();
  FASTKV_RETURN_IF_ERROR(ParseArguments(node.arguments.get()));
  return AddExpression(std::move(node));
}

Result<NodeId> ExpressionParser::ParseFilters(NodeId value, bool started) {
  while (AtOperator("|") || started) {
    if (!started) FASTKV_RETURN_IF_ERROR(Skip());
    started = false;
    Expression node;
    node.kind = ExpressionKind::kFilter;
    node.line = current().line;
    node.left = value;
    node.arguments = std::make_unique<ArgumentNodes>();
    FASTKV_ASSIGN_OR_RETURN(node.name, TakeDottedName());
    if (AtOperator("(")) FASTKV_RETURN_IF_ERROR(ParseArguments(node.arguments.get()));
    FASTKV_ASSIGN_OR_RETURN(value, AddExpression(std::move(node)));
  }
  return value;
}

Status ExpressionParser::ParseArguments(ArgumentNodes* arguments) {
  std::unordered_set<std::string> keyword_names;
  FASTKV_RETURN_IF_ERROR(ExpectOperator("("));
  for (bool first = true; !AtOperator(")"); first = false) {
    if (!first) {
      FASTKV_RETURN_IF_ERROR(ExpectOperator(","));
      if (AtOperator(")")) break;
    }
    const bool starred = arguments->star != kNoNode || arguments->double_star != kNoNode;
    if (AtOperator("*") || AtOperator("**")) {
      NodeId* target = AtOperator("*") ? &arguments->star : &arguments->double_star;
      if (AtOperator("*") ? starred : arguments->double_star != kNoNode) return Unexpected();
      FASTKV_RETURN_IF_ERROR(Skip());
      FASTKV_ASSIGN_OR_RETURN(*target, ParseConditional());
    } else if (current().type == TokenType::kName && following().IsOperator("=")) {
      if (arguments->double_star != kNoNode) return Unexpected();
      NamedNode keyword;
      FASTKV_ASSIGN_OR_RETURN(keyword.name, TakeName());
      FASTKV_RETURN_IF_ERROR(Skip());
      if (!keyword_names.insert(keyword.name).second) {
        return Error("the argument '" + keyword.name + "' is given twice");
      }
      FASTKV_ASSIGN_OR_RETURN(keyword.value, ParseConditional());
      arguments->keywords.push_back(std::move(keyword));
    } else {
      if (starred || !arguments->keywords.empty()) return Unexpected();
      FASTKV_ASSIGN_OR_RETURN(const NodeId value, ParseConditional());
      arguments->positional.push_back(value);
    }
  }
  return ExpectOperator(")");
}

}  // namespace fastkv::jinja
