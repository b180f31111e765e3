#include "text/jinja/from_json.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/limits.h"
#include "text/jinja/unicode.h"

namespace fastkv::jinja {
namespace {

bool IsPlainWord(std::string_view text) {
  constexpr size_t kLongestRole = 32;
  return !text.empty() && text.size() <= kLongestRole &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

class Converter {
 public:
  explicit Converter(Runtime* runtime) : runtime_(*runtime) {}

  // `level`: 0 for the value itself. NOLINTNEXTLINE(misc-no-recursion): bounded by kMaxJsonDepth
  Result<Value> Convert(const Json& json, Origin origin, int level) {
    if (level > limits::kMaxJsonDepth) {
      return LimitError("a value given to the template is nested deeper than " +
                        std::to_string(limits::kMaxJsonDepth) + " levels");
    }
    switch (json.type()) {
      case Json::value_t::null:
        return Value::None();
      case Json::value_t::boolean:
        return Value::Bool(*json.get_ptr<const Json::boolean_t*>());
      case Json::value_t::number_integer:
        return Value::Int(*json.get_ptr<const Json::number_integer_t*>());
      case Json::value_t::number_unsigned:
        return Value::Int(*json.get_ptr<const Json::number_unsigned_t*>());
      case Json::value_t::number_float:
        return Value::Float(*json.get_ptr<const Json::number_float_t*>());
      case Json::value_t::string:
        return ConvertString(*json.get_ptr<const Json::string_t*>(), origin == Origin::kTrusted);
      case Json::value_t::array: {
        FASTKV_ASSIGN_OR_RETURN(ListObject * list, runtime_.heap.New<ListObject>());
        FASTKV_RETURN_IF_ERROR(runtime_.heap.ChargeItems(json.size()));
        list->items.reserve(json.size());
        for (const Json& member : json) {
          FASTKV_ASSIGN_OR_RETURN(const Value item, Convert(member, origin, level + 1));
          list->items.push_back(item);
        }
        return Value::Of(Kind::kList, list);
      }
      case Json::value_t::object: {
        FASTKV_ASSIGN_OR_RETURN(DictObject * dict, runtime_.heap.New<DictObject>());
        FASTKV_RETURN_IF_ERROR(runtime_.heap.ChargeItems(2 * json.size()));
        dict->entries.reserve(json.size());
        for (const auto& [name, member] : *json.get_ptr<const Json::object_t*>()) {
          FASTKV_ASSIGN_OR_RETURN(const Value key, ConvertKey(name, origin == Origin::kTrusted));
          const bool is_role = origin == Origin::kMessages && level == 1 && name == "role" &&
                               member.is_string() &&
                               IsPlainWord(*member.get_ptr<const Json::string_t*>());
          FASTKV_ASSIGN_OR_RETURN(const Value value,
                                  Convert(member, is_role ? Origin::kTrusted : origin, level + 1));
          dict->entries.emplace_back(key, value);
        }
        return Value::Of(Kind::kDict, dict);
      }
      default:
        return InvalidArgumentError("a value given to the template is no JSON value");
    }
  }

 private:
  Result<Value> ConvertString(const std::string& text, bool trusted) {
    if (!IsValidUtf8(text)) return FormatError("a text given to the template is not valid UTF-8");
    return runtime_.heap.NewString(text, trusted);
  }

  // Conversations repeat a few keys very often.
  Result<Value> ConvertKey(const std::string& name, bool trusted) {
    const auto known = keys_.find(name);
    if (known != keys_.end()) return known->second;
    FASTKV_ASSIGN_OR_RETURN(const Value key, ConvertString(name, trusted));
    keys_.emplace(name, key);
    return key;
  }

  Runtime& runtime_;
  // All of one origin: only values of the key "role" ever differ from what is around them.
  std::map<std::string_view, Value> keys_;
};

}  // namespace

Result<Value> FromJson(Runtime& runtime, const Json& json, Origin origin) {
  return Converter(&runtime).Convert(json, origin, 0);
}

uint64_t JsonBytes(const Json& json) {
  constexpr uint64_t kWordBytes = 8;
  uint64_t bytes = 0;
  std::vector<const Json*> pending = {&json};
  while (!pending.empty()) {
    const Json& value = *pending.back();
    pending.pop_back();
    bytes += kWordBytes;
    if (const auto* text = value.get_ptr<const Json::string_t*>()) bytes += text->size();
    if (const auto* object = value.get_ptr<const Json::object_t*>()) {
      for (const auto& [name, member] : *object) {
        bytes += name.size();
        pending.push_back(&member);
      }
    } else if (value.is_array()) {
      for (const Json& member : value) pending.push_back(&member);
    }
  }
  return bytes;
}

}  // namespace fastkv::jinja
