#include "io/json.h"

#include <cmath>
#include <cstddef>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

// Builds the value from the parser's events. Every event returns whether parsing goes on; a refusal
// leaves its reason in status_.
class TreeBuilder {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  bool null() { return Add(nullptr); }
  bool boolean(bool value) { return Add(value); }
  bool number_integer(number_integer_t value) { return Add(value); }
  bool number_unsigned(number_unsigned_t value) { return Add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) { return Add(value); }
  bool string(string_t& value) { return Add(std::move(value)); }
  bool binary(binary_t& /*value*/) { return Refuse(FormatError("binary values are not JSON")); }
  bool start_object(size_t /*num_members*/) { return Open(true); }
  bool start_array(size_t /*num_elements*/) { return Open(false); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }

  bool key(string_t& name) {
    OpenContainer& object = open_.back();
    if (!object.names.insert(name).second) {
      return Refuse(FormatError("the key " + Quoted(name) + " occurs twice in one object"));
    }
    object.keys.push_back(std::move(name));
    return true;
  }

  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::detail::exception& error) {
    const bool out_of_range = error.id == 406;
    return Refuse(FormatError("invalid JSON at byte " + std::to_string(position) +
                              (out_of_range ? ", number out of range: " : ", near ") +
                              Quoted(last_token)));
  }

  const Status& status() const { return status_; }
  Json TakeRoot() { return std::move(root_); }

 private:
  // Members are gathered apart and put into the object when it ends: an ordered map that grows
  // would copy all that it holds, and its own insertion searches all members every time.
  struct OpenContainer {
    bool is_object;
    Json::array_t elements;
    std::vector<std::string> keys;          // one for each element of an object
    std::unordered_set<std::string> names;  // the same keys
  };

  bool Refuse(Status status) {
    status_ = std::move(status);
    return false;
  }

  bool Add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else {
      open_.back().elements.push_back(std::move(value));
    }
    return true;
  }

  bool Open(bool is_object) {
    if (open_.size() >= static_cast<size_t>(limits::kMaxJsonDepth)) {
      return Refuse(LimitError("JSON is nested more than " + std::to_string(limits::kMaxJsonDepth) +
                               " deep"));
    }
    if (++num_containers_ > limits::kMaxJsonContainers) {
      return Refuse(LimitError("JSON holds more than " +
                               std::to_string(limits::kMaxJsonContainers) + " arrays and objects"));
    }
    open_.push_back({is_object, {}, {}, {}});
    return true;
  }

  bool Close() {
    OpenContainer container = std::move(open_.back());
    open_.pop_back();
    if (!container.is_object) return Add(std::move(container.elements));
    Json object(Json::value_t::object);
    Json::object_t::Container& members = object.get_ref<Json::object_t&>();
    members.reserve(container.keys.size());
    for (size_t i = 0; i < container.keys.size(); ++i) {
      members.emplace_back(std::move(container.keys[i]), std::move(container.elements[i]));
    }
    return Add(std::move(object));
  }

  Json root_;
  std::vector<OpenContainer> open_;  // from the root inwards
  int64_t num_containers_ = 0;
  Status status_;
};

// What a message says about a value that is not the expected one.
std::string Shown(const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return Quoted(value.get_ref<const std::string&>());
    default:
      return DumpJson(value);
  }
}

std::string ShownNumber(double value) { return DumpJson(Json(value)); }

}  // namespace

Result<Json> ParseJson(std::string_view text) {
  // The parser below takes a zero byte for the end of the text.
  const size_t zero = text.find('\0');
  if (zero != std::string_view::npos) {
    return FormatError("invalid JSON at byte " + std::to_string(zero) + ": a zero byte");
  }
  TreeBuilder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return builder.status();
  return builder.TakeRoot();
}

Result<Json> ReadJsonFile(FileSystem& files, const std::string& path, uint64_t max_bytes) {
  FASTKV_ASSIGN_OR_RETURN(const std::string text, files.ReadFile(path, max_bytes));
  Result<Json> value = ParseJson(text);
  if (!value.ok()) return value.status().WithContext(path);
  return value;
}

std::string DumpJson(const Json& value) {
  struct OpenContainer {
    Json::const_iterator next;
    Json::const_iterator end;
    char closing;
  };
  constexpr auto scalar = [](const Json& leaf) {
    return leaf.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  std::string text;
  std::vector<OpenContainer> open;
  const auto write = [&](const Json& item) {
    if (item.is_structured()) {
      text += item.is_object() ? '{' : '[';
      open.push_back({item.cbegin(), item.cend(), item.is_object() ? '}' : ']'});
    } else {
      text += scalar(item);
    }
  };
  write(value);
  while (!open.empty()) {
    OpenContainer& container = open.back();
    if (container.next == container.end) {
      text += container.closing;
      open.pop_back();
      continue;
    }
    if (text.back() != '{' && text.back() != '[') text += ',';
    if (container.closing == '}') text += scalar(Json(container.next.key())) + ':';
    const Json& item = *container.next;
    ++container.next;
    write(item);
  }
  return text;
}

Result<JsonFields> JsonFields::Of(const Json& object, std::string context) {
  if (object.is_object()) return JsonFields(object, std::move(context));
  return FormatError(context + ": expected an object, found " + Shown(object));
}

const Json* JsonFields::Find(std::string_view name) const {
  for (const auto& [key, value] : object_->get_ref<const Json::object_t&>()) {
    if (key == name) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

Status JsonFields::Wrong(std::string_view name, std::string_view expected) const {
  const Json* value = Find(name);
  return FormatError(context_ + ": field " + Quoted(name) + ": expected " + std::string(expected) +
                     ", found " + (value == nullptr ? "nothing" : Shown(*value)));
}

Result<int64_t> JsonFields::Int(std::string_view name, int64_t min, int64_t max) const {
  const Json* value = Find(name);
  if (value != nullptr && value->is_number_integer()) {
    // Unsigned values beyond int64_t are kept apart by their type.
    const bool fits =
        !value->is_number_unsigned() || value->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
    const int64_t number = fits ? value->get<int64_t>() : 0;
    if (fits && min <= number && number <= max) return number;
  }
  return Wrong(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
}

Result<double> JsonFields::Number(std::string_view name, double min, double max) const {
  const Json* value = Find(name);
  if (value != nullptr && value->is_number()) {
    const auto number = value->get<double>();
    if (std::isfinite(number) && min <= number && number <= max) return number;
  }
  return Wrong(name, "a number from " + ShownNumber(min) + " to " + ShownNumber(max));
}

Result<bool> JsonFields::Bool(std::string_view name) const {
  const Json* value = Find(name);
  if (value != nullptr && value->is_boolean()) return value->get<bool>();
  return Wrong(name, "true or false");
}

Result<std::string> JsonFields::String(std::string_view name) const {
  const Json* value = Find(name);
  if (value != nullptr && value->is_string()) return value->get_ref<const std::string&>();
  return Wrong(name, "a string");
}

Result<int64_t> JsonFields::IntOr(std::string_view name, int64_t otherwise, int64_t min,
                                  int64_t max) const {
  if (!Has(name)) return otherwise;
  return Int(name, min, max);
}

Result<double> JsonFields::NumberOr(std::string_view name, double otherwise, double min,
                                    double max) const {
  if (!Has(name)) return otherwise;
  return Number(name, min, max);
}

Result<bool> JsonFields::BoolOr(std::string_view name, bool otherwise) const {
  if (!Has(name)) return otherwise;
  return Bool(name);
}

Result<std::string> JsonFields::StringOr(std::string_view name, std::string otherwise) const {
  if (!Has(name)) return otherwise;
  return String(name);
}

}  // namespace fastkv
