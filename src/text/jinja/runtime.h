// What every operation of a rendering needs: where to put values, what may still be used, and the
// time.
#ifndef FASTKV_TEXT_JINJA_RUNTIME_H_
#define FASTKV_TEXT_JINJA_RUNTIME_H_

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "text/jinja/local_time.h"
#include "text/jinja/value.h"

namespace fastkv::jinja {

// Values nest as deep as this when they are printed, compared or hashed: JSON's own limit and what
// a template may wrap around it.
inline constexpr int kMaxValueDepth = 128;

// How many iterators may ask each other for an item, one inside the other.
inline constexpr int kMaxIteratorDepth = 64;

struct Runtime {
  explicit Runtime(Budget* budget) : heap(budget) {}
  Budget& budget() { return heap.budget(); }

  Heap heap;
  LocalTime now;
  int iterator_depth = 0;
};

// The arguments of a call, filter or test.
struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

// Puts arguments in the order of `names`, the parameters of what is called; those not given are
// missing. Errors: kInvalidArgument for too many, unknown or doubly given ones, and for fewer than
// `required`. REQUIRES: bound.size() == names.size().
Status BindArguments(std::string_view callee, std::span<const std::string_view> names,
                     size_t required, const CallArguments& arguments, std::span<Value> bound);

// The same for a fixed list of parameters.
template <size_t kCount>
struct BoundArguments {
  Value values[kCount];
  const Value& operator[](size_t i) const { return values[i]; }
};
template <size_t kCount>
Result<BoundArguments<kCount>> Bind(std::string_view callee,
                                    const std::string_view (&names)[kCount], size_t required,
                                    const CallArguments& arguments) {
  BoundArguments<kCount> bound;
  FASTKV_RETURN_IF_ERROR(BindArguments(callee, names, required, arguments, bound.values));
  return bound;
}

// Errors unless there are no arguments.
Status NoArguments(std::string_view callee, const CallArguments& arguments);

// `value` as an index or count. Errors: kInvalidArgument unless an integer or boolean that fits.
Result<int64_t> ToIndex(const Value& value, std::string_view what);

Status TypeError(std::string message);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_RUNTIME_H_
