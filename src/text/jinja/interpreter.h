// Runs a parsed template.
//
// Thread-safety: none; one interpreter renders once.
#ifndef FASTKV_TEXT_JINJA_INTERPRETER_H_
#define FASTKV_TEXT_JINJA_INTERPRETER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/runtime_objects.h"

namespace fastkv::jinja {

class Interpreter {
 public:
  // All must outlive the interpreter. `variables` hide global functions of the same name.
  Interpreter(const Tree& tree, const std::map<std::string, Value, std::less<>>& variables,
              Runtime* runtime)
      : tree_(tree), variables_(variables), runtime_(*runtime) {}

  // Renders into `output`. Errors: as Template::Render, with the line.
  Status Run(TextBuffer* output);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  // Counts one level of nesting of the running template while it lives.
  class Nesting;

  // Statements (interpreter.cc).
  // NOLINTBEGIN(misc-no-recursion): bounded by Nesting
  Result<Flow> RunList(const StatementList& list);
  Result<Flow> RunStatement(const Statement& node);
  Result<Flow> RunIf(const Statement& node);
  Result<Flow> RunFor(const Statement& node);
  Result<Flow> RunScope(const Statement& node);
  Result<Flow> RunWith(const Statement& node);
  Status RunOutput(const Statement& node);
  Status RunSet(const Statement& node);
  Result<Flow> RunCaptured(const Statement& node);
  Status RunCallBlock(const Statement& node);
  Status Assign(NodeId target, const Value& value);

  // Loops and macros (loops_and_macros.cc). `outer`: the frame around the loop's.
  Result<Flow> LoopOver(const Statement& node, const Value& iterable, RunningFrame* outer,
                        int64_t depth0);
  // The same, giving what the loop writes.
  Result<Value> CaptureLoop(const Statement& node, const Value& iterable, RunningFrame* outer,
                            int64_t depth0);
  Result<Value> CallMacro(const MacroObject& macro, CallArguments arguments);
  Result<Value> CallLoop(const LoopObject& loop, const CallArguments& arguments);

  // Expressions (evaluation.cc).
  Result<Value> Evaluate(NodeId id);
  Result<Value> EvaluateBase(const Expression& node);
  Status ApplyTo(const Expression& node, Value* value);
  Status ApplyCompare(const Expression& node, Value* value);
  Status ApplySlice(const Expression& node, Value* value);
  Result<Value> EvaluateItems(const Expression& node);
  Result<Value> EvaluateDict(const Expression& node);
  Result<Value> EvaluateConcat(const Expression& node);
  Result<CallArguments> EvaluateArguments(const ArgumentNodes& nodes);
  Result<Value> Call(const Value& callee, CallArguments arguments);
  // NOLINTEND(misc-no-recursion)

  // Frames (frames.cc).
  class FrameScope;
  friend class FilteredIterator;
  void Enter(uint32_t frame, RunningFrame* running);
  Value& At(Slot slot);
  Value Read(const Expression& name);
  Value Global(const std::string& name) const;

  const Tree& tree_;
  const std::map<std::string, Value, std::less<>>& variables_;
  Runtime& runtime_;
  RunningFrame* frame_ = nullptr;
  TextBuilder* output_ = nullptr;
  Value filter_input_;  // what a filter without a left side works on
  // Nodes of running evaluations that wait for their left side.
  std::vector<NodeId> spine_;
  int line_ = 1;
  int depth_ = 0;
  int calls_ = 0;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_INTERPRETER_H_
