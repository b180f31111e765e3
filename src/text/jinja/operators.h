// Python's operators on values.
//
// Errors of all: kInvalidArgument where Python raises (wrong types, division by zero, undefined
// operands), kLimit where an integer leaves 128 bits, values nest too deep or the budget ends.
#ifndef FASTKV_TEXT_JINJA_OPERATORS_H_
#define FASTKV_TEXT_JINJA_OPERATORS_H_

#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace fastkv::jinja {

Result<Value> Combine(Runtime& runtime, BinaryOperator binary, const Value& left,
                      const Value& right);
Result<Value> Negate(const Value& value);
Result<Value> Plus(const Value& value);

// bool(value).
bool IsTrue(const Value& value);

Result<bool> Compare(Runtime& runtime, Comparison comparison, const Value& left,
                     const Value& right);
// ==
Result<bool> Equal(Runtime& runtime, const Value& left, const Value& right);
// <
Result<bool> Less(Runtime& runtime, const Value& left, const Value& right);
// `item in container`
Result<bool> Contains(Runtime& runtime, const Value& container, const Value& item);
// Errors unless `key` may be a key of a dictionary.
Status CheckHashable(Runtime& runtime, const Value& key);

// The indices of `keys` in ascending order, equal ones in their given order (also with `reverse`).
Result<std::vector<size_t>> StableOrder(Runtime& runtime, const std::vector<Value>& keys,
                                        bool reverse);

// Sets dict[key] = value, keeping the place of a key that is there.
Status Insert(Runtime& runtime, DictObject* dict, const Value& key, const Value& value);
// dict[key] or nullptr.
Result<const Value*> Lookup(Runtime& runtime, const DictObject& dict, const Value& key);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_OPERATORS_H_
