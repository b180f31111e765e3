// Expressions. Chains such as `a + b + c`, `a.b.c` and `a | f | g` lean to the left as deep as they
// are long, so they are run in a loop from their innermost left side outwards; only true nesting
// recurses.
#include <utility>

#include "text/jinja/access.h"
#include "text/jinja/filters.h"
#include "text/jinja/frames.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"
#include "text/jinja/predicates.h"
#include "text/jinja/represent.h"

namespace fastkv::jinja {
namespace {

bool StartsWithLeft(ExpressionKind kind) {
  switch (kind) {
    case ExpressionKind::kAttribute:
    case ExpressionKind::kItem:
    case ExpressionKind::kSlice:
    case ExpressionKind::kCall:
    case ExpressionKind::kFilter:
    case ExpressionKind::kTest:
    case ExpressionKind::kBinary:
    case ExpressionKind::kCompare:
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr:
    case ExpressionKind::kNot:
    case ExpressionKind::kNegate:
    case ExpressionKind::kPlus:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<Value> Interpreter::Evaluate(NodeId id) {
  const Nesting nesting(this);
  FASTKV_RETURN_IF_ERROR(nesting.Check());
  const size_t bottom = spine_.size();
  while (id != kNoNode && StartsWithLeft(tree_.expressions[id].kind)) {
    spine_.push_back(id);
    id = tree_.expressions[id].left;
  }
  FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(spine_.size() - bottom));
  // A filter without a left side works on the text of its block.
  Value value = filter_input_;
  if (id != kNoNode) {
    FASTKV_ASSIGN_OR_RETURN(value, EvaluateBase(tree_.expressions[id]));
  }
  while (spine_.size() > bottom) {
    const Expression& node = tree_.expressions[spine_.back()];
    spine_.pop_back();
    FASTKV_RETURN_IF_ERROR(ApplyTo(node, &value));
  }
  return value;
}

Result<Value> Interpreter::EvaluateBase(const Expression& node) {
  line_ = node.line;
  switch (node.kind) {
    case ExpressionKind::kName:
      return Read(node);
    case ExpressionKind::kList:
    case ExpressionKind::kTuple:
      return EvaluateItems(node);
    case ExpressionKind::kDict:
      return EvaluateDict(node);
    case ExpressionKind::kConcat:
      return EvaluateConcat(node);
    case ExpressionKind::kConditional: {
      FASTKV_ASSIGN_OR_RETURN(const Value condition, Evaluate(node.items[0]));
      if (IsTrue(condition)) return Evaluate(node.left);
      if (node.right != kNoNode) return Evaluate(node.right);
      return Value::Undefined(UndefinedReason::kMessage,
                              "the inline if-expression was false and has no else");
    }
    default:
      return node.constant;
  }
}

Status Interpreter::ApplyTo(const Expression& node, Value* value) {
  line_ = node.line;
  switch (node.kind) {
    case ExpressionKind::kAttribute: {
      FASTKV_ASSIGN_OR_RETURN(*value, GetAttribute(runtime_, *value, {node.name, true}));
      return OkStatus();
    }
    case ExpressionKind::kItem: {
      FASTKV_ASSIGN_OR_RETURN(const Value key, Evaluate(node.right));
      line_ = node.line;
      FASTKV_ASSIGN_OR_RETURN(*value, GetItem(runtime_, *value, key));
      return OkStatus();
    }
    case ExpressionKind::kSlice:
      return ApplySlice(node, value);
    case ExpressionKind::kCall: {
      FASTKV_ASSIGN_OR_RETURN(CallArguments arguments, EvaluateArguments(*node.arguments));
      line_ = node.line;
      FASTKV_ASSIGN_OR_RETURN(*value, Call(*value, std::move(arguments)));
      return OkStatus();
    }
    case ExpressionKind::kFilter: {
      FASTKV_ASSIGN_OR_RETURN(const CallArguments arguments, EvaluateArguments(*node.arguments));
      line_ = node.line;
      FASTKV_ASSIGN_OR_RETURN(*value, CallFilter(runtime_, node.name, *value, arguments));
      return OkStatus();
    }
    case ExpressionKind::kTest: {
      FASTKV_ASSIGN_OR_RETURN(const CallArguments arguments, EvaluateArguments(*node.arguments));
      line_ = node.line;
      FASTKV_ASSIGN_OR_RETURN(const bool passes,
                              CallPredicate(runtime_, node.name, *value, arguments));
      *value = Value::Bool(passes);
      return OkStatus();
    }
    case ExpressionKind::kBinary: {
      FASTKV_ASSIGN_OR_RETURN(const Value right, Evaluate(node.right));
      line_ = node.line;
      FASTKV_ASSIGN_OR_RETURN(*value, Combine(runtime_, node.binary, *value, right));
      return OkStatus();
    }
    case ExpressionKind::kCompare:
      return ApplyCompare(node, value);
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr:
      // One of the operands is the result, the right one only if it is needed.
      if (IsTrue(*value) == (node.kind == ExpressionKind::kAnd)) {
        FASTKV_ASSIGN_OR_RETURN(*value, Evaluate(node.right));
      }
      return OkStatus();
    case ExpressionKind::kNot:
      *value = Value::Bool(!IsTrue(*value));
      return OkStatus();
    case ExpressionKind::kNegate: {
      FASTKV_ASSIGN_OR_RETURN(*value, Negate(*value));
      return OkStatus();
    }
    case ExpressionKind::kPlus: {
      FASTKV_ASSIGN_OR_RETURN(*value, Plus(*value));
      return OkStatus();
    }
    default:
      return OkStatus();
  }
}

Status Interpreter::ApplyCompare(const Expression& node, Value* value) {
  Value left = *value;
  for (size_t i = 0; i < node.items.size(); ++i) {
    FASTKV_ASSIGN_OR_RETURN(const Value right, Evaluate(node.items[i]));
    line_ = node.line;
    FASTKV_ASSIGN_OR_RETURN(const bool holds, Compare(runtime_, node.comparisons[i], left, right));
    *value = Value::Bool(holds);
    if (!holds) return OkStatus();
    left = right;
  }
  return OkStatus();
}

Status Interpreter::ApplySlice(const Expression& node, Value* value) {
  Value parts[3];
  for (size_t i = 0; i < 3; ++i) {
    if (node.items[i] == kNoNode) continue;
    FASTKV_ASSIGN_OR_RETURN(parts[i], Evaluate(node.items[i]));
  }
  line_ = node.line;
  FASTKV_ASSIGN_OR_RETURN(*value, Slice(runtime_, *value, parts[0], parts[1], parts[2]));
  return OkStatus();
}

Result<Value> Interpreter::EvaluateItems(const Expression& node) {
  FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(node.items.size()));
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const NodeId id : node.items) {
    FASTKV_ASSIGN_OR_RETURN(const Value item, Evaluate(id));
    items.push_back(item);
  }
  return runtime_.heap.NewList(std::move(items),
                               node.kind == ExpressionKind::kTuple ? Kind::kTuple : Kind::kList);
}

Result<Value> Interpreter::EvaluateDict(const Expression& node) {
  FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(node.items.size()));
  FASTKV_ASSIGN_OR_RETURN(DictObject * dict, runtime_.heap.New<DictObject>());
  for (size_t i = 0; i < node.items.size(); i += 2) {
    FASTKV_ASSIGN_OR_RETURN(const Value key, Evaluate(node.items[i]));
    FASTKV_ASSIGN_OR_RETURN(const Value value, Evaluate(node.items[i + 1]));
    line_ = node.line;
    FASTKV_RETURN_IF_ERROR(Insert(runtime_, dict, key, value));
  }
  return Value::Of(Kind::kDict, dict);
}

Result<Value> Interpreter::EvaluateConcat(const Expression& node) {
  FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(node.items.size()));
  Text joined;
  for (const NodeId id : node.items) {
    FASTKV_ASSIGN_OR_RETURN(const Value item, Evaluate(id));
    line_ = node.line;
    FASTKV_ASSIGN_OR_RETURN(const Text text, ToText(runtime_, item));
    FASTKV_ASSIGN_OR_RETURN(const Value longer, runtime_.heap.Concatenate(joined, text));
    joined = longer.text();
  }
  return Value::String(joined);
}

Result<CallArguments> Interpreter::EvaluateArguments(const ArgumentNodes& nodes) {
  CallArguments arguments;
  FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(nodes.positional.size() + nodes.keywords.size()));
  for (const NodeId id : nodes.positional) {
    FASTKV_ASSIGN_OR_RETURN(const Value value, Evaluate(id));
    arguments.positional.push_back(value);
  }
  if (nodes.star != kNoNode) {
    FASTKV_ASSIGN_OR_RETURN(const Value list, Evaluate(nodes.star));
    FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> items, Collect(runtime_, list));
    arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
  }
  for (const NamedNode& keyword : nodes.keywords) {
    FASTKV_ASSIGN_OR_RETURN(const Value value, Evaluate(keyword.value));
    arguments.keywords.emplace_back(keyword.name, value);
  }
  if (nodes.double_star == kNoNode) return arguments;
  FASTKV_ASSIGN_OR_RETURN(const Value mapping, Evaluate(nodes.double_star));
  if (!mapping.Is(Kind::kDict)) return TypeError("what stands after ** must be a mapping");
  const auto& entries = mapping.dict().entries;
  FASTKV_RETURN_IF_ERROR(runtime_.heap.ChargeItems(2 * entries.size()));
  for (const auto& [name, value] : entries) {
    if (!name.IsString()) return TypeError("keywords must be strings");
    for (const NamedNode& keyword : nodes.keywords) {
      if (keyword.name == name.view()) {
        return TypeError("the argument '" + keyword.name + "' is given twice");
      }
    }
    arguments.keywords.emplace_back(name.view(), value);
  }
  return arguments;
}

Result<Value> Interpreter::Call(const Value& callee, CallArguments arguments) {
  switch (callee.kind()) {
    case Kind::kUndefined:
      return UndefinedError(callee);
    case Kind::kFunction:
      return callee.function()->call(runtime_, arguments);
    case Kind::kMethod:
      return callee.method().method->call(runtime_, callee.method().self, arguments);
    case Kind::kJoiner: {
      FASTKV_RETURN_IF_ERROR(NoArguments("joiner", arguments));
      JoinerObject& joiner = callee.joiner();
      if (std::exchange(joiner.used, true)) return joiner.separator;
      return Value::String({});
    }
    case Kind::kMacro:
    case Kind::kLoop:
      break;
    default:
      return TypeError("'" + std::string(TypeName(callee)) + "' object is not callable");
  }
  if (calls_ >= limits::kMaxTemplateDepth) {
    return LimitError("macros call each other more than " +
                      std::to_string(limits::kMaxTemplateDepth) + " levels deep");
  }
  ++calls_;
  Result<Value> result = callee.Is(Kind::kMacro) ? CallMacro(callee.macro(), std::move(arguments))
                                                 : CallLoop(callee.loop(), arguments);
  --calls_;
  return result;
}

}  // namespace fastkv::jinja
