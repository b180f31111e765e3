// Iteration over values, lazily and one item at a time.
#ifndef FASTKV_TEXT_JINJA_ITERATOR_H_
#define FASTKV_TEXT_JINJA_ITERATOR_H_

#include <vector>

#include "text/jinja/runtime.h"

namespace fastkv::jinja {

class IteratorObject : public Object {
 public:
  // Stores the next item and returns true, or returns false at the end and ever after.
  // Errors: kLimit where iterators ask iterators in too long a chain.
  Result<bool> Next(Runtime& runtime, Value* item);

 private:
  virtual Result<bool> Produce(Runtime& runtime, Value* item) = 0;
};

// An iterator over the items of `value`: list members, code points of a string, keys of a
// dictionary; undefined has none. An iterator is its own iterator. Errors: kInvalidArgument when
// `value` cannot be iterated.
Result<IteratorObject*> Iterate(Runtime& runtime, const Value& value);
bool IsIterable(const Value& value);

// All items, each costing a step. For an iterator these are the items left.
Result<std::vector<Value>> Collect(Runtime& runtime, const Value& value);

// Python's len(). Errors: kInvalidArgument when `value` has no length.
Result<int64_t> Length(Runtime& runtime, const Value& value);
bool HasLength(const Value& value);

// An iterator over given items.
Result<Value> NewItemIterator(Runtime& runtime, std::vector<Value> items);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_ITERATOR_H_
