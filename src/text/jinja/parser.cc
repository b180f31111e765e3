#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "text/jinja/expression_parser.h"
#include "text/jinja/scopes.h"

namespace fastkv::jinja {
namespace {

using Names = std::initializer_list<std::string_view>;

class Parser : public ExpressionParser {
 public:
  Parser(Lexer lexer, Tree* tree) : ExpressionParser(std::move(lexer), tree) {}

  Status Parse() {
    FASTKV_RETURN_IF_ERROR(Start());
    FASTKV_RETURN_IF_ERROR(ParseList({}, &tree().body));
    if (current().type != TokenType::kEnd) return Unexpected();
    return OkStatus();
  }

 private:
  // NOLINTBEGIN(misc-no-recursion): bounded by Nesting
  // Statements up to a tag named one of `ends`, whose name is then the current token.
  Status ParseList(Names ends, StatementList* list);
  // The body of a block: the rest of its opening tag, then statements up to one of `ends`.
  Status ParseBody(Names ends, StatementList* list);
  Status ParseStatement(StatementList* list);
  Status ParseIf(Statement* node);
  Status ParseFor(Statement* node);
  Status ParseSet(Statement* node);
  Status ParseMacro(Statement* node);
  Status ParseCallBlock(Statement* node);
  Status ParseFilterBlock(Statement* node);
  Status ParseWith(Statement* node);
  Status ParsePrint(StatementList* list);
  // NOLINTEND(misc-no-recursion)

  Status ParseParameters(MacroDefinition* macro);
  Result<NodeId> ParseTarget(std::string_view end_name, bool may_be_namespace);
  Status CheckTarget(NodeId target);
};

Status Parser::ParseList(Names ends, StatementList* list) {
  const Nesting nesting(this);
  FASTKV_RETURN_IF_ERROR(nesting.Check());
  while (current().type != TokenType::kEnd) {
    Statement node;
    node.line = current().line;
    if (current().type == TokenType::kData) {
      node.kind = StatementKind::kData;
      node.text = AddText(current().text);
      FASTKV_RETURN_IF_ERROR(Skip());
    } else if (current().type == TokenType::kVariableBegin) {
      node.kind = StatementKind::kOutput;
      FASTKV_RETURN_IF_ERROR(Skip());
      FASTKV_ASSIGN_OR_RETURN(node.expression, ParseTuple({}));
      FASTKV_RETURN_IF_ERROR(Expect(TokenType::kVariableEnd, "'}}'"));
    } else if (current().type == TokenType::kBlockBegin) {
      FASTKV_RETURN_IF_ERROR(Skip());
      const auto at_end = [&](std::string_view name) { return AtName(name); };
      if (std::any_of(ends.begin(), ends.end(), at_end)) return OkStatus();
      FASTKV_RETURN_IF_ERROR(ParseStatement(list));
      FASTKV_RETURN_IF_ERROR(Expect(TokenType::kBlockEnd, "'%}'"));
      continue;
    } else {
      return Unexpected();
    }
    FASTKV_ASSIGN_OR_RETURN(const NodeId id, AddStatement(std::move(node)));
    list->push_back(id);
  }
  if (ends.size() != 0) {
    return Error("the template ends where '" + std::string(*(ends.end() - 1)) + "' was expected");
  }
  return OkStatus();
}

Status Parser::ParseBody(Names ends, StatementList* list) {
  bool colon = false;
  FASTKV_RETURN_IF_ERROR(SkipOperator(":", &colon));
  FASTKV_RETURN_IF_ERROR(Expect(TokenType::kBlockEnd, "'%}'"));
  return ParseList(ends, list);
}

Status Parser::ParseStatement(StatementList* list) {
  if (current().type != TokenType::kName) return Error("a tag must begin with its name");
  const int line = current().line;
  const std::string tag = current().text;
  FASTKV_RETURN_IF_ERROR(Skip());
  Statement node;
  node.line = line;
  if (tag == "if") {
    FASTKV_RETURN_IF_ERROR(ParseIf(&node));
  } else if (tag == "for") {
    FASTKV_RETURN_IF_ERROR(ParseFor(&node));
  } else if (tag == "set") {
    FASTKV_RETURN_IF_ERROR(ParseSet(&node));
  } else if (tag == "macro") {
    FASTKV_RETURN_IF_ERROR(ParseMacro(&node));
  } else if (tag == "call") {
    FASTKV_RETURN_IF_ERROR(ParseCallBlock(&node));
  } else if (tag == "filter") {
    FASTKV_RETURN_IF_ERROR(ParseFilterBlock(&node));
  } else if (tag == "with") {
    FASTKV_RETURN_IF_ERROR(ParseWith(&node));
  } else if (tag == "print") {
    return ParsePrint(list);
  } else if (tag == "generation") {
    node.kind = StatementKind::kGeneration;
    FASTKV_RETURN_IF_ERROR(ParseBody({"endgeneration"}, &node.body));
    FASTKV_RETURN_IF_ERROR(Skip());
  } else if (tag == "break") {
    node.kind = StatementKind::kBreak;
  } else if (tag == "continue") {
    node.kind = StatementKind::kContinue;
  } else if (tag == "include" || tag == "import" || tag == "from" || tag == "extends" ||
             tag == "block" || tag == "autoescape") {
    return UnsupportedError("line " + std::to_string(line) + ": the tag {% " + tag +
                            " %} is not supported in chat templates");
  } else {
    return UnsupportedError("line " + std::to_string(line) + ": unknown tag {% " + tag + " %}");
  }
  FASTKV_ASSIGN_OR_RETURN(const NodeId id, AddStatement(std::move(node)));
  list->push_back(id);
  return OkStatus();
}

Status Parser::ParseIf(Statement* node) {
  node->kind = StatementKind::kIf;
  while (true) {
    IfBranch branch;
    FASTKV_ASSIGN_OR_RETURN(branch.condition, ParseTuple({.conditional = false}));
    FASTKV_RETURN_IF_ERROR(ParseBody({"elif", "else", "endif"}, &branch.body));
    node->branches.push_back(std::move(branch));
    bool more = false;
    FASTKV_RETURN_IF_ERROR(SkipName("elif", &more));
    if (!more) break;
  }
  bool has_else = false;
  FASTKV_RETURN_IF_ERROR(SkipName("else", &has_else));
  if (has_else) FASTKV_RETURN_IF_ERROR(ParseBody({"endif"}, &node->else_body));
  return Skip();
}

Status Parser::ParseFor(Statement* node) {
  node->kind = StatementKind::kFor;
  FASTKV_ASSIGN_OR_RETURN(node->target, ParseTarget("in", false));
  FASTKV_RETURN_IF_ERROR(ExpectName("in"));
  FASTKV_ASSIGN_OR_RETURN(node->expression,
                          ParseTuple({.conditional = false, .end_name = "recursive"}));
  bool has_condition = false;
  FASTKV_RETURN_IF_ERROR(SkipName("if", &has_condition));
  if (has_condition) {
    FASTKV_ASSIGN_OR_RETURN(node->condition, ParseExpression());
  }
  FASTKV_RETURN_IF_ERROR(SkipName("recursive", &node->recursive));
  FASTKV_RETURN_IF_ERROR(ParseBody({"else", "endfor"}, &node->body));
  bool has_else = false;
  FASTKV_RETURN_IF_ERROR(SkipName("else", &has_else));
  if (has_else) FASTKV_RETURN_IF_ERROR(ParseBody({"endfor"}, &node->else_body));
  return Skip();
}

Status Parser::ParseSet(Statement* node) {
  node->kind = StatementKind::kSet;
  FASTKV_ASSIGN_OR_RETURN(node->target, ParseTarget({}, true));
  bool assigns = false;
  FASTKV_RETURN_IF_ERROR(SkipOperator("=", &assigns));
  if (assigns) {
    FASTKV_ASSIGN_OR_RETURN(node->expression, ParseTuple({}));
    return OkStatus();
  }
  node->kind = StatementKind::kSetBlock;
  FASTKV_ASSIGN_OR_RETURN(node->expression, ParseFilters(kNoNode, false));
  FASTKV_RETURN_IF_ERROR(ParseBody({"endset"}, &node->body));
  return Skip();
}

Status Parser::ParseParameters(MacroDefinition* macro) {
  FASTKV_RETURN_IF_ERROR(ExpectOperator("("));
  bool has_default = false;
  while (!AtOperator(")")) {
    if (!macro->parameters.empty()) FASTKV_RETURN_IF_ERROR(ExpectOperator(","));
    Parameter parameter;
    FASTKV_ASSIGN_OR_RETURN(parameter.name, TakeName());
    bool assigns = false;
    FASTKV_RETURN_IF_ERROR(SkipOperator("=", &assigns));
    if (assigns) {
      FASTKV_ASSIGN_OR_RETURN(parameter.default_value, ParseExpression());
      has_default = true;
    } else if (has_default) {
      return Error("a parameter without a default follows one with a default");
    }
    macro->parameters.push_back(std::move(parameter));
  }
  return ExpectOperator(")");
}

Status Parser::ParseMacro(Statement* node) {
  node->kind = StatementKind::kMacro;
  node->macro = std::make_unique<MacroDefinition>();
  Expression target;
  target.kind = ExpressionKind::kName;
  target.line = node->line;
  FASTKV_ASSIGN_OR_RETURN(target.name, TakeName());
  node->macro->name = target.name;
  FASTKV_ASSIGN_OR_RETURN(node->target, AddExpression(std::move(target)));
  FASTKV_RETURN_IF_ERROR(ParseParameters(node->macro.get()));
  FASTKV_RETURN_IF_ERROR(ParseBody({"endmacro"}, &node->body));
  return Skip();
}

Status Parser::ParseCallBlock(Statement* node) {
  node->kind = StatementKind::kCall;
  node->macro = std::make_unique<MacroDefinition>();
  node->macro->name = "caller";
  if (AtOperator("(")) FASTKV_RETURN_IF_ERROR(ParseParameters(node->macro.get()));
  FASTKV_ASSIGN_OR_RETURN(node->expression, ParseExpression());
  if (expression(node->expression).kind != ExpressionKind::kCall) {
    return Error("{% call %} needs a call");
  }
  FASTKV_RETURN_IF_ERROR(ParseBody({"endcall"}, &node->body));
  return Skip();
}

Status Parser::ParseFilterBlock(Statement* node) {
  node->kind = StatementKind::kFilterBlock;
  FASTKV_ASSIGN_OR_RETURN(node->expression, ParseFilters(kNoNode, true));
  FASTKV_RETURN_IF_ERROR(ParseBody({"endfilter"}, &node->body));
  return Skip();
}

Status Parser::ParseWith(Statement* node) {
  node->kind = StatementKind::kWith;
  while (current().type != TokenType::kBlockEnd) {
    if (!node->targets.empty()) FASTKV_RETURN_IF_ERROR(ExpectOperator(","));
    FASTKV_ASSIGN_OR_RETURN(const NodeId target, ParseTarget({}, false));
    FASTKV_RETURN_IF_ERROR(ExpectOperator("="));
    FASTKV_ASSIGN_OR_RETURN(const NodeId value, ParseExpression());
    node->targets.push_back(target);
    node->values.push_back(value);
  }
  FASTKV_RETURN_IF_ERROR(ParseBody({"endwith"}, &node->body));
  return Skip();
}

Status Parser::ParsePrint(StatementList* list) {
  for (bool first = true; current().type != TokenType::kBlockEnd; first = false) {
    if (!first) FASTKV_RETURN_IF_ERROR(ExpectOperator(","));
    Statement node;
    node.kind = StatementKind::kOutput;
    node.line = current().line;
    FASTKV_ASSIGN_OR_RETURN(node.expression, ParseExpression());
    FASTKV_ASSIGN_OR_RETURN(const NodeId id, AddStatement(std::move(node)));
    list->push_back(id);
  }
  return OkStatus();
}

Result<NodeId> Parser::ParseTarget(std::string_view end_name, bool may_be_namespace) {
  if (may_be_namespace && current().type == TokenType::kName && following().IsOperator(".")) {
    Expression node;
    node.kind = ExpressionKind::kNamespaceTarget;
    node.line = current().line;
    FASTKV_ASSIGN_OR_RETURN(node.name, TakeName());
    FASTKV_RETURN_IF_ERROR(Skip());
    FASTKV_ASSIGN_OR_RETURN(node.attribute, TakeName());
    return AddExpression(std::move(node));
  }
  FASTKV_ASSIGN_OR_RETURN(const NodeId target,
                          ParseTuple({.simplified = true, .end_name = end_name}));
  FASTKV_RETURN_IF_ERROR(CheckTarget(target));
  return target;
}

Status Parser::CheckTarget(NodeId target) {  // NOLINT(misc-no-recursion): bounded by Nesting
  const Expression& node = expression(target);
  if (node.kind == ExpressionKind::kName) return OkStatus();
  if (node.kind != ExpressionKind::kTuple) return Error("cannot assign to this expression");
  for (const NodeId item : node.items) FASTKV_RETURN_IF_ERROR(CheckTarget(item));
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<const Tree>> ParseTemplate(std::string_view source) {
  if (source.size() > limits::kMaxTemplateBytes) {
    return LimitError("the template has " + std::to_string(source.size()) +
                      " bytes, more than the limit of " +
                      std::to_string(limits::kMaxTemplateBytes));
  }
  auto tree = std::make_unique<Tree>();
  tree->source_bytes = source.size();
  FASTKV_ASSIGN_OR_RETURN(Lexer lexer, Lexer::Of(source));
  Parser parser(std::move(lexer), tree.get());
  FASTKV_RETURN_IF_ERROR(parser.Parse());
  FASTKV_RETURN_IF_ERROR(ResolveNames(tree.get()));
  return std::unique_ptr<const Tree>(std::move(tree));
}

}  // namespace fastkv::jinja
