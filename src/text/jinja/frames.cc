#include "text/jinja/frames.h"

#include "text/jinja/globals.h"

namespace fastkv::jinja {
namespace {

// Macros may call each other limits::kMaxTemplateDepth levels deep, with a few nested statements
// and expressions each. A level takes one to two kilobytes of stack.
constexpr int kMaxRunningDepth = 16 * limits::kMaxTemplateDepth;

}  // namespace

Status Interpreter::Nesting::Check() const {
  if (interpreter_->depth_ <= kMaxRunningDepth) return OkStatus();
  return LimitError("the template runs nested deeper than " + std::to_string(kMaxRunningDepth) +
                    " levels");
}

Status Interpreter::FrameScope::Enter(uint32_t frame, RunningFrame* outer) {
  const Frame& layout = interpreter_->tree_.frames[frame];
  running_ = &local_;
  if (layout.captured) {
    FASTKV_RETURN_IF_ERROR(interpreter_->runtime_.heap.ChargeItems(layout.loads.size()));
    FASTKV_ASSIGN_OR_RETURN(running_, interpreter_->runtime_.heap.New<RunningFrame>());
  }
  frame_ = frame;
  running_->parent = outer;
  interpreter_->Enter(frame, running_);
  interpreter_->frame_ = running_;
  return OkStatus();
}

void Interpreter::Enter(uint32_t frame, RunningFrame* running) {
  const std::vector<FrameLoad>& loads = tree_.frames[frame].loads;
  running->slots.resize(loads.size());
  for (size_t i = 0; i < loads.size(); ++i) {
    const FrameLoad& load = loads[i];
    Value& slot = running->slots[i];
    switch (load.from) {
      case FrameLoad::From::kNothing:
      case FrameLoad::From::kParameter:
        slot = Value();
        break;
      case FrameLoad::From::kGlobal:
        slot = Global(load.name);
        break;
      case FrameLoad::From::kOuter: {
        const RunningFrame* outer = running->parent;
        for (uint32_t hop = 0; hop < load.outer.hops; ++hop) outer = outer->parent;
        slot = outer->slots[load.outer.index];
        break;
      }
    }
  }
}

Value& Interpreter::At(Slot slot) {
  RunningFrame* frame = frame_;
  for (uint32_t hop = 0; hop < slot.hops; ++hop) frame = frame->parent;
  return frame->slots[slot.index];
}

Value Interpreter::Read(const Expression& name) {
  const Value value = At(name.slot);
  return value.IsMissing() ? Value::Undefined(UndefinedReason::kVariable, name.name) : value;
}

Value Interpreter::Global(const std::string& name) const {
  const auto found = variables_.find(name);
  if (found != variables_.end()) return found->second;
  const GlobalFunction* function = FindGlobal(name);
  return function != nullptr ? Value::Function(function) : Value();
}

}  // namespace fastkv::jinja
