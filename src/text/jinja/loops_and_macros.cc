// What runs a body more than once: loops and macros.
#include <utility>

#include "text/jinja/filtered_iterator.h"
#include "text/jinja/frames.h"
#include "text/jinja/operators.h"
#include "text/jinja/represent.h"

namespace fastkv::jinja {

Result<Interpreter::Flow> Interpreter::RunFor(const Statement& node) {
  FASTKV_ASSIGN_OR_RETURN(const Value iterable, Evaluate(node.expression));
  if (!node.recursive) return LoopOver(node, iterable, frame_, 0);
  FASTKV_ASSIGN_OR_RETURN(const Value text, CaptureLoop(node, iterable, frame_, 0));
  output_->Append(text.text());
  FASTKV_RETURN_IF_ERROR(output_->status());
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::LoopOver(const Statement& node, const Value& iterable,
                                                RunningFrame* outer, int64_t depth0) {
  LoopObject local;
  LoopObject* loop = &local;
  if (node.loop_slot != UINT32_MAX) {
    FASTKV_ASSIGN_OR_RETURN(loop, runtime_.heap.New<LoopObject>());
  }
  line_ = node.line;
  FASTKV_ASSIGN_OR_RETURN(loop->items, Iterate(runtime_, iterable));
  loop->iterable = iterable;
  loop->depth0 = depth0;
  if (node.recursive) {
    loop->recursive_body = &node;
    loop->recursive_frame = outer;
  }
  if (node.condition != kNoNode) {
    FASTKV_ASSIGN_OR_RETURN(loop->items,
                            runtime_.heap.New<FilteredIterator>(this, &node, loop->items, outer));
    loop->filtered = true;
  }
  {
    FrameScope scope(this);
    FASTKV_RETURN_IF_ERROR(scope.Enter(node.body_frame, outer));
    for (bool first = true;; first = false) {
      Value item;
      FASTKV_ASSIGN_OR_RETURN(const bool more, loop->Advance(runtime_, &item));
      if (!more) break;
      FASTKV_RETURN_IF_ERROR(runtime_.budget().Steps(1));
      if (!first) scope.Restart();
      line_ = node.line;
      FASTKV_RETURN_IF_ERROR(Assign(node.target, item));
      if (node.loop_slot != UINT32_MAX) {
        frame_->slots[node.loop_slot] = Value::Of(Kind::kLoop, loop);
      }
      FASTKV_ASSIGN_OR_RETURN(const Flow flow, RunList(node.body));
      // As in jinja2, `else` runs unless a round came to its end, so also after a break or continue
      // in the first.
      if (flow == Flow::kNext) loop->completed_round = true;
      if (flow == Flow::kBreak) break;
    }
  }
  if (loop->completed_round || node.else_body.empty()) return Flow::kNext;
  FrameScope scope(this);
  FASTKV_RETURN_IF_ERROR(scope.Enter(node.else_frame, outer));
  return RunList(node.else_body);
}

Result<Value> Interpreter::CaptureLoop(const Statement& node, const Value& iterable,
                                       RunningFrame* outer, int64_t depth0) {
  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime_.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime_.budget());
  TextBuilder* const outer_output = std::exchange(output_, &builder);
  FASTKV_ASSIGN_OR_RETURN(const Flow flow, LoopOver(node, iterable, outer, depth0));
  output_ = outer_output;
  if (flow != Flow::kNext) return FormatError("break or continue outside a loop");
  return Value::String(builder.text());
}

Result<Value> Interpreter::CallLoop(const LoopObject& loop, const CallArguments& arguments) {
  if (loop.recursive_body == nullptr) {
    return TypeError("the loop must have the 'recursive' marker to be called");
  }
  FASTKV_ASSIGN_OR_RETURN(const auto bound, Bind("loop", {"iterable"}, 1, arguments));
  return CaptureLoop(*loop.recursive_body, bound[0], loop.recursive_frame, loop.depth0 + 1);
}

Result<Value> Interpreter::CallMacro(const MacroObject& macro, CallArguments arguments) {
  const Statement& node = *macro.definition;
  const MacroDefinition& definition = *node.macro;
  const std::string quoted = "'" + definition.name + "'";
  FrameScope scope(this);
  FASTKV_RETURN_IF_ERROR(scope.Enter(node.body_frame, macro.closure));

  const auto take_keyword = [&](const std::string& name) {
    for (auto keyword = arguments.keywords.begin(); keyword != arguments.keywords.end();
         ++keyword) {
      if (keyword->first != name) continue;
      const Value value = keyword->second;
      arguments.keywords.erase(keyword);
      return value;
    }
    return Value();
  };
  const size_t num_positional = std::min(arguments.positional.size(), definition.parameters.size());
  for (size_t i = 0; i < definition.parameters.size(); ++i) {
    const Parameter& parameter = definition.parameters[i];
    frame_->slots[parameter.slot] =
        i < num_positional ? arguments.positional[i] : take_keyword(parameter.name);
  }
  if (definition.caller_slot != UINT32_MAX) {
    Value caller = take_keyword("caller");
    if (caller.IsMissing() || caller.IsNone()) {
      caller = Value::Undefined(UndefinedReason::kMessage, "No caller defined");
    }
    frame_->slots[definition.caller_slot] = caller;
  }
  if (definition.kwargs_slot != UINT32_MAX) {
    FASTKV_ASSIGN_OR_RETURN(DictObject * rest, runtime_.heap.New<DictObject>());
    for (const auto& [name, value] : arguments.keywords) {
      FASTKV_ASSIGN_OR_RETURN(const Value key, runtime_.heap.NewString(name, true));
      FASTKV_RETURN_IF_ERROR(Insert(runtime_, rest, key, value));
    }
    frame_->slots[definition.kwargs_slot] = Value::Of(Kind::kDict, rest);
  } else if (!arguments.keywords.empty()) {
    return TypeError("macro " + quoted + " takes no keyword argument '" +
                     arguments.keywords[0].first + "'");
  }
  if (definition.varargs_slot != UINT32_MAX) {
    std::vector<Value> rest(
        arguments.positional.begin() + static_cast<std::ptrdiff_t>(num_positional),
        arguments.positional.end());
    FASTKV_ASSIGN_OR_RETURN(frame_->slots[definition.varargs_slot],
                            runtime_.heap.NewList(std::move(rest), Kind::kTuple));
  } else if (arguments.positional.size() > definition.parameters.size()) {
    return TypeError("macro " + quoted + " takes not more than " +
                     std::to_string(definition.parameters.size()) + " argument(s)");
  }

  FASTKV_ASSIGN_OR_RETURN(TextBuffer * buffer, runtime_.heap.NewBuffer());
  TextBuilder builder(buffer, &runtime_.budget());
  TextBuilder* const outer_output = std::exchange(output_, &builder);
  for (const Parameter& parameter : definition.parameters) {
    if (!frame_->slots[parameter.slot].IsMissing()) continue;
    if (parameter.default_value == kNoNode) {
      frame_->slots[parameter.slot] = Value::Undefined(UndefinedReason::kParameter, parameter.name);
    } else {
      FASTKV_ASSIGN_OR_RETURN(const Value value, Evaluate(parameter.default_value));
      frame_->slots[parameter.slot] = value;
    }
  }
  FASTKV_RETURN_IF_ERROR(RunList(node.body).status());
  output_ = outer_output;
  return Value::String(builder.text());
}

}  // namespace fastkv::jinja
