// Attributes, items and slices.
#ifndef FASTKV_TEXT_JINJA_ACCESS_H_
#define FASTKV_TEXT_JINJA_ACCESS_H_

#include <string_view>

#include "text/jinja/runtime.h"

namespace fastkv::jinja {

// A name as it stands in the template or as a string value. `stable` names live as long as the
// template, so that error messages may refer to them.
struct AttributeName {
  std::string_view name;
  bool stable = false;
};
AttributeName NameOf(const Text& text);

// `object.name`: an attribute or method, then a key. Undefined where there is none.
// Errors: kInvalidArgument on an undefined object.
Result<Value> GetAttribute(Runtime& runtime, const Value& object, AttributeName name);
// Only the attribute or method, as the filter `attr` looks for it.
Result<Value> GetAttributeOnly(Runtime& runtime, const Value& object, AttributeName name);
// `object[key]`: an item, then an attribute. Undefined where there is none.
// Errors: kInvalidArgument on an undefined object.
Result<Value> GetItem(Runtime& runtime, const Value& object, const Value& key);

// object[start:stop:step]; missing and none count as not given.
// Errors: kInvalidArgument for an object that has no slices, a step of zero, ends that are no
// integers.
Result<Value> Slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop,
                    const Value& step);

// `attribute` of filters such as map and sort: names and numbers with dots between them, each
// looked up as an item. A missing attribute gives `object` itself. `otherwise` replaces undefined
// unless missing.
Result<Value> GetPath(Runtime& runtime, const Value& object, const Value& attribute,
                      const Value& otherwise = Value());

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_ACCESS_H_
