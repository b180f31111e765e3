#include "text/jinja/interpreter.h"

#include <utility>

#include "text/jinja/frames.h"
#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"
#include "text/jinja/represent.h"

namespace fastkv::jinja {

Status Interpreter::Run(TextBuffer* output) {
  TextBuilder builder(output, &runtime_.budget(), runtime_.budget().output_limit_bytes());
  output_ = &builder;
  FrameScope scope(this);
  FASTKV_RETURN_IF_ERROR(scope.Enter(0, nullptr));
  Result<Flow> flow = RunList(tree_.body);
  if (flow.ok()) return OkStatus();
  return flow.status().WithContext("line " + std::to_string(line_));
}

Result<Interpreter::Flow> Interpreter::RunList(const StatementList& list) {
  for (const NodeId id : list) {
    FASTKV_ASSIGN_OR_RETURN(const Flow flow, RunStatement(tree_.statements[id]));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::RunStatement(const Statement& node) {
  const Nesting nesting(this);
  FASTKV_RETURN_IF_ERROR(nesting.Check());
  line_ = node.line;
  FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(1));
  switch (node.kind) {
    case StatementKind::kData:
      output_->Append(Text{node.text, 0, static_cast<uint32_t>(node.text->bytes.size())});
      FASTKV_RETURN_IF_ERROR(output_->status());
      return Flow::kNext;
    case StatementKind::kOutput:
      FASTKV_RETURN_IF_ERROR(RunOutput(node));
      return Flow::kNext;
    case StatementKind::kIf:
      return RunIf(node);
    case StatementKind::kFor:
      return RunFor(node);
    case StatementKind::kSet:
      FASTKV_RETURN_IF_ERROR(RunSet(node));
      return Flow::kNext;
    case StatementKind::kSetBlock:
    case StatementKind::kFilterBlock:
      return RunCaptured(node);
    case StatementKind::kMacro: {
      FASTKV_ASSIGN_OR_RETURN(MacroObject * macro, runtime_.heap.New<MacroObject>());
      macro->definition = &node;
      macro->closure = frame_;
      FASTKV_RETURN_IF_ERROR(Assign(node.target, Value::Of(Kind::kMacro, macro)));
      return Flow::kNext;
    }
    case StatementKind::kCall:
      FASTKV_RETURN_IF_ERROR(RunCallBlock(node));
      return Flow::kNext;
    case StatementKind::kWith:
      return RunWith(node);
    case StatementKind::kGeneration:
      return RunScope(node);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Status Interpreter::RunOutput(const Statement& node) {
  FASTKV_ASSIGN_OR_RETURN(const Value value, Evaluate(node.expression));
  return AppendText(runtime_, value, output_);
}

Status Interpreter::RunSet(const Statement& node) {
  FASTKV_ASSIGN_OR_RETURN(const Value value, Evaluate(node.expression));
  return Assign(node.target, value);
}

Result<Interpreter::Flow> Interpreter::RunIf(const Statement& node) {
  for (const IfBranch& branch : node.branches) {
    FASTKV_ASSIGN_OR_RETURN(const Value condition, Evaluate(branch.condition));
    if (IsTrue(condition)) return RunList(branch.body);
  }
  return RunList(node.else_body);
}

Result<Interpreter::Flow> Interpreter::RunScope(const Statement& node) {
  FrameScope scope(this);
  FASTKV_RETURN_IF_ERROR(scope.Enter(node.body_frame, frame_));
  return RunList(node.body);
}

Result<Interpreter::Flow> Interpreter::RunWith(const Statement& node) {
  std::vector<Value> values;
  for (const NodeId id : node.values) {
    FASTKV_ASSIGN_OR_RETURN(const Value value, Evaluate(id));
    values.push_back(value);
  }
  FrameScope scope(this);
  FASTKV_RETURN_IF_ERROR(scope.Enter(node.body_frame, frame_));
  for (size_t i = 0; i < values.size(); ++i) {
    FASTKV_RETURN_IF_ERROR(Assign(node.targets[i], values[i]));
  }
  return RunList(node.body);
}

Result<Interpreter::Flow> Interpreter::RunCaptured(const Statement& node) {
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime_.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime_.budget());
  TextBuilder* const outer_output = std::exchange(output_, &builder);
  FrameScope scope(this);
  FASTKV_RETURN_IF_ERROR(scope.Enter(node.body_frame, frame_));
  FASTKV_ASSIGN_OR_RETURN(const Flow flow, RunList(node.body));
  output_ = outer_output;
  // A break leaves the block without its result.
  if (flow != Flow::kNext) return flow;
  Value value = Value::String(builder.text());
  if (node.expression != kNoNode) {
    const Value outer_input = std::exchange(filter_input_, value);
    FASTKV_ASSIGN_OR_RETURN(value, Evaluate(node.expression));
    filter_input_ = outer_input;
  }
  if (node.kind == StatementKind::kFilterBlock) {
    FASTKV_RETURN_IF_ERROR(AppendText(runtime_, value, output_));
    return Flow::kNext;
  }
  scope.Suspend();
  FASTKV_RETURN_IF_ERROR(Assign(node.target, value));
  return Flow::kNext;
}

Status Interpreter::RunCallBlock(const Statement& node) {
  const Expression& call = tree_.expressions[node.expression];
  FASTKV_ASSIGN_OR_RETURN(const Value callee, Evaluate(call.left));
  FASTKV_ASSIGN_OR_RETURN(CallArguments arguments, EvaluateArguments(*call.arguments));
  FASTKV_ASSIGN_OR_RETURN(MacroObject * caller, runtime_.heap.New<MacroObject>());
  caller->definition = &node;
  caller->closure = frame_;
  arguments.keywords.emplace_back("caller", Value::Of(Kind::kMacro, caller));
  line_ = call.line;
  FASTKV_ASSIGN_OR_RETURN(const Value result, Call(callee, std::move(arguments)));
  return AppendText(runtime_, result, output_);
}

Status Interpreter::Assign(NodeId target, const Value& value) {
  const Expression& node = tree_.expressions[target];
  if (node.kind == ExpressionKind::kName) {
    At(node.slot) = value;
    return OkStatus();
  }
  if (node.kind == ExpressionKind::kNamespaceTarget) {
    const Value holder = Read(node);
    line_ = node.line;
    if (!holder.Is(Kind::kNamespace)) {
      return TypeError("cannot assign attributes of '" + std::string(TypeName(holder)) +
                       "', only of a namespace");
    }
    DictObject& attributes = holder.name_space().attributes;
    for (auto& [name, current] : attributes.entries) {
      if (name.IsString() && name.view() == node.attribute) {
        current = value;
        return OkStatus();
      }
    }
    FASTKV_RETURN_IF_ERROR(runtime_.budget().Scan(attributes.entries.size()));
    FASTKV_ASSIGN_OR_RETURN(const Value name, runtime_.heap.NewString(node.attribute, true));
    return Insert(runtime_, &attributes, name, value);
  }
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Value> parts, Collect(runtime_, value));
  if (parts.size() != node.items.size()) {
    return InvalidArgumentError("expected " + std::to_string(node.items.size()) +
                                " values to unpack, got " + std::to_string(parts.size()));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    FASTKV_RETURN_IF_ERROR(Assign(node.items[i], parts[i]));
  }
  return OkStatus();
}

}  // namespace fastkv::jinja
