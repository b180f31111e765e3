// The values a template works with: Python's none, booleans, numbers, strings, lists, tuples and
// dictionaries, jinja2's undefined, and the objects that loops, macros and methods are.
//
// Ownership: a Value is a plain handle. Objects and text buffers belong to the Heap of one
// rendering (or to the parsed template, for its literals) and all go with it at the end, so values
// may refer to each other in any shape and freeing them never recurses.
//
// Thread-safety: none; values belong to one rendering.
#ifndef FASTKV_TEXT_JINJA_VALUE_H_
#define FASTKV_TEXT_JINJA_VALUE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "text/jinja/budget.h"
#include "text/jinja/text.h"

namespace fastkv::jinja {

// Python's integers have no end; these hold what JSON and arithmetic on it need, and leaving them
// is an error rather than a wrong number.
__extension__ typedef __int128 Int128;

enum class Kind : uint8_t {
  kMissing,  // an argument or variable that was not given; never visible to a template
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kDictView,   // what items(), keys() and values() of a dictionary give
  kRange,      // range()
  kIterator,   // lazy and used up by reading: map, select, reverse ...
  kNamespace,  // namespace()
  kMacro,
  kMethod,    // a method together with its object
  kFunction,  // a global function
  kLoop,      // the loop variable
  kCycler,
  kJoiner,
};

struct Object;
struct ListObject;
struct DictObject;
struct DictViewObject;
struct RangeObject;
class IteratorObject;
struct NamespaceObject;
struct MacroObject;
struct MethodObject;
struct LoopObject;
struct CyclerObject;
struct JoinerObject;
struct GlobalFunction;

// Why a value is undefined: what an error message says when the value is used.
enum class UndefinedReason : uint8_t {
  kVariable,   // no variable of that name
  kAttribute,  // no attribute or key of that name
  kElement,    // no such key or index
  kParameter,  // a macro was called without it
  kUnsafe,     // an attribute that the sandbox hides
  kMessage,    // `name` is the message
};

struct UndefinedInfo {
  const char* name;  // lives as long as the template or the program
  uint32_t name_size;
  UndefinedReason reason;
  Kind owner;  // what lacks the attribute
};

class Value {
 public:
  Value() : kind_(Kind::kMissing), int_(0) {}
  static Value None() { return Value(Kind::kNone); }
  static Value Bool(bool value);
  static Value Int(Int128 value);
  static Value Float(double value);
  static Value String(Text text);
  static Value Undefined(UndefinedReason reason, std::string_view name,
                         Kind owner = Kind::kMissing);
  // `object` must be of the type that belongs to `kind`.
  static Value Of(Kind kind, Object* object);
  static Value Function(const GlobalFunction* function);

  Kind kind() const { return kind_; }
  bool Is(Kind kind) const { return kind_ == kind; }
  bool IsMissing() const { return kind_ == Kind::kMissing; }
  bool IsUndefined() const { return kind_ == Kind::kUndefined; }
  bool IsNone() const { return kind_ == Kind::kNone; }
  bool IsString() const { return kind_ == Kind::kString; }
  // Integers and booleans, as Python counts them.
  bool IsIntegral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool IsNumber() const { return IsIntegral() || kind_ == Kind::kFloat; }
  bool IsSequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }

  // REQUIRES for each: the kind of that name.
  bool boolean() const { return bool_; }
  Int128 integer() const { return kind_ == Kind::kBool ? Int128{bool_} : int_; }
  double real() const { return float_; }
  // The number as double; integers beyond double's precision are rounded.
  double number() const { return kind_ == Kind::kFloat ? float_ : static_cast<double>(integer()); }
  const Text& text() const { return text_; }
  std::string_view view() const { return text_.view(); }
  const UndefinedInfo& undefined() const { return undefined_; }
  const GlobalFunction* function() const { return function_; }
  Object* object() const { return object_; }
  ListObject& list() const;  // lists and tuples
  DictObject& dict() const;
  DictViewObject& dict_view() const;
  RangeObject& range() const;
  IteratorObject& iterator() const;
  NamespaceObject& name_space() const;
  MacroObject& macro() const;
  MethodObject& method() const;
  LoopObject& loop() const;
  CyclerObject& cycler() const;
  JoinerObject& joiner() const;

 private:
  explicit Value(Kind kind) : kind_(kind), int_(0) {}

  Kind kind_;
  union {
    bool bool_;
    Int128 int_;
    double float_;
    Text text_;
    UndefinedInfo undefined_;
    const GlobalFunction* function_;
    Object* object_;
  };
};

struct Object {
  virtual ~Object() = default;
};

struct ListObject : Object {
  std::vector<Value> items;
  // groupby's tuples can also be read by name.
  bool is_group = false;
};

// Keeps the order of insertion. Keys are hashable values: strings, numbers, none, tuples of those.
struct DictObject : Object {
  std::vector<std::pair<Value, Value>> entries;

  // The value of a string key, or nullptr.
  const Value* Find(std::string_view key) const;

 private:
  // String keys in ascending order, as indices of `entries`: built for large dictionaries at the
  // first look-up. Sorted rather than hashed, so that no choice of keys makes look-ups slow.
  mutable std::vector<uint32_t> sorted_;
  mutable size_t sorted_entries_ = 0;
};

struct DictViewObject : Object {
  enum class What : uint8_t { kKeys, kValues, kItems };
  DictObject* dict = nullptr;
  What what = What::kItems;
};

struct RangeObject : Object {
  int64_t start = 0;
  int64_t step = 1;
  int64_t length = 0;
};

struct NamespaceObject : Object {
  DictObject attributes;
};

struct CyclerObject : Object {
  std::vector<Value> items;
  size_t position = 0;
};

struct JoinerObject : Object {
  Value separator;
  bool used = false;
};

// Owns all that one rendering makes. Everything is charged to the budget.
class Heap {
 public:
  explicit Heap(Budget* budget) : budget_(budget) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  template <typename T, typename... Args>
  Result<T*> New(Args&&... args) {
    FASTKV_RETURN_IF_ERROR(budget_->Heap(sizeof(T) + kObjectOverheadBytes));
    auto owned = std::make_unique<T>(std::forward<Args>(args)...);
    T* object = owned.get();
    objects_.push_back(std::move(owned));
    return object;
  }
  // Makes room in a list, charging for it. REQUIRES: called before each growth.
  Status ChargeItems(size_t count) { return budget_->Heap(count * sizeof(Value)); }

  Result<TextBuffer*> NewBuffer();
  Result<Value> NewString(std::string_view bytes, bool trusted);
  Result<Value> NewList(std::vector<Value> items, Kind kind = Kind::kList);
  // left + right; extends the buffer of `left` in place where it ends there.
  Result<Value> Concatenate(const Text& left, const Text& right);

  Budget& budget() { return *budget_; }

 private:
  static constexpr uint64_t kObjectOverheadBytes = 32;  // pointer, allocator

  Budget* budget_;
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<std::unique_ptr<TextBuffer>> buffers_;
};

// The name Python gives the type, such as "str" or "NoneType".
std::string_view TypeName(Kind kind);
inline std::string_view TypeName(const Value& value) { return TypeName(value.kind()); }

// What jinja2 says when an undefined value is used for more than printing.
Status UndefinedError(const Value& value);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_VALUE_H_
