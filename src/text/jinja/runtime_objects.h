// Objects that tie values to the running template: macros, methods, functions and the loop
// variable.
#ifndef FASTKV_TEXT_JINJA_RUNTIME_OBJECTS_H_
#define FASTKV_TEXT_JINJA_RUNTIME_OBJECTS_H_

#include <optional>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/iterator.h"
#include "text/jinja/runtime.h"

namespace fastkv::jinja {

// The variables of one running frame.
struct RunningFrame : Object {
  RunningFrame* parent = nullptr;
  std::vector<Value> slots;
};

struct MacroObject : Object {
  const Statement* definition = nullptr;
  RunningFrame* closure = nullptr;  // where it was defined
};

struct Method {
  std::string_view name;
  Result<Value> (*call)(Runtime& runtime, const Value& self, const CallArguments& arguments);
};

struct MethodObject : Object {
  Value self;
  const Method* method = nullptr;
};

struct GlobalFunction {
  std::string_view name;
  Result<Value> (*call)(Runtime& runtime, const CallArguments& arguments);
};

// The loop variable. Looks at most one item ahead, unless the length of an iterator is asked for.
struct LoopObject : Object {
  Value iterable;  // what is looped over, for its length
  IteratorObject* items = nullptr;
  int64_t index0 = -1;
  int64_t depth0 = 0;
  int64_t length = -1;    // -1: not known yet
  bool filtered = false;  // the length of `iterable` is not that of the loop
  bool has_next = false;
  bool completed_round = false;
  Value next;
  Value current;
  Value previous;
  Value last_changed;  // what changed() was last called with
  // For `recursive` loops: how to run the body again.
  const Statement* recursive_body = nullptr;
  RunningFrame* recursive_frame = nullptr;

  // Moves on to the next item; false at the end.
  Result<bool> Advance(Runtime& runtime, Value* item);
  // Looks at the next item without moving; false at the end.
  Result<bool> Peek(Runtime& runtime);
  Result<int64_t> LengthOf(Runtime& runtime);
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_RUNTIME_OBJECTS_H_
