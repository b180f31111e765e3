// The lazy items of a loop with a condition.
#ifndef FASTKV_TEXT_JINJA_FILTERED_ITERATOR_H_
#define FASTKV_TEXT_JINJA_FILTERED_ITERATOR_H_

#include "text/jinja/frames.h"
#include "text/jinja/iterator.h"
#include "text/jinja/operators.h"

namespace fastkv::jinja {

// The items of `for x in items if condition`, judged one by one as they are asked for.
class FilteredIterator : public IteratorObject {
 public:
  FilteredIterator(Interpreter* interpreter, const Statement* node, IteratorObject* items,
                   RunningFrame* outer)
      : interpreter_(*interpreter), node_(*node), items_(items), outer_(outer) {}

  Result<bool> Produce(Runtime& runtime, Value* item) override {
    while (true) {
      FASTKV_RETURN_IF_ERROR(runtime.budget().Steps(1));
      FASTKV_ASSIGN_OR_RETURN(const bool more, items_->Next(runtime, item));
      if (!more) return false;
      Interpreter::FrameScope scope(&interpreter_);
      FASTKV_RETURN_IF_ERROR(scope.Enter(node_.test_frame, outer_));
      FASTKV_RETURN_IF_ERROR(interpreter_.Assign(node_.target, *item));
      FASTKV_ASSIGN_OR_RETURN(const Value passes, interpreter_.Evaluate(node_.condition));
      if (IsTrue(passes)) return true;
    }
  }

 private:
  Interpreter& interpreter_;
  const Statement& node_;
  IteratorObject* items_;
  RunningFrame* outer_;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_FILTERED_ITERATOR_H_
