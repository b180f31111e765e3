#include "io/gguf_metadata.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "base/checked_math.h"
#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr uint32_t kNumTypes = 13;
constexpr std::array<std::string_view, kNumTypes> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
// 0: the size is written before the value.
constexpr std::array<uint64_t, kNumTypes> kTypeBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

std::string_view NameOf(GgufType type) { return kTypeNames[static_cast<uint32_t>(type)]; }
uint64_t BytesOf(GgufType type) { return kTypeBytes[static_cast<uint32_t>(type)]; }

std::string Where(std::string_view key) { return "key " + Quoted(key); }

Status CutOff(std::string_view key, const ByteReader& reader) {
  return FormatError(Where(key) + ": the value is longer than the " +
                     std::to_string(reader.remaining_bytes()) +
                     " bytes left of the file; is the download complete?");
}

Result<GgufType> ReadType(std::string_view key, ByteReader& reader) {
  const auto type = reader.Read<uint32_t>();
  if (!type) return CutOff(key, reader);
  if (*type >= kNumTypes) {
    return FormatError(Where(key) + ": expected a value type from 0 to " +
                       std::to_string(kNumTypes - 1) + ", found " + std::to_string(*type));
  }
  return static_cast<GgufType>(*type);
}

struct ArrayHead {
  GgufType element_type = GgufType::kU8;
  uint64_t num_elements = 0;
};

Result<ArrayHead> ReadArrayHead(std::string_view key, ByteReader& reader) {
  ArrayHead head;
  FASTKV_ASSIGN_OR_RETURN(head.element_type, ReadType(key, reader));
  const auto count = reader.Read<uint64_t>();
  if (!count) return CutOff(key, reader);
  head.num_elements = *count;
  return head;
}

// Steps over the elements of an array, which may be arrays themselves.
Status SkipElements(std::string_view key, const ArrayHead& outer, ByteReader& reader) {
  std::vector<ArrayHead> open = {outer};
  while (!open.empty()) {
    ArrayHead& head = open.back();
    if (const uint64_t size = BytesOf(head.element_type); size > 0) {
      const auto num_bytes = CheckedMultiply(head.num_elements, size);
      if (!num_bytes || !reader.Take(*num_bytes)) return CutOff(key, reader);
      open.pop_back();
      continue;
    }
    if (head.num_elements == 0) {
      open.pop_back();
      continue;
    }
    --head.num_elements;
    if (head.element_type == GgufType::kString) {
      const auto size = reader.Read<uint64_t>();
      if (!size || !reader.Take(*size)) return CutOff(key, reader);
      continue;
    }
    if (open.size() >= static_cast<size_t>(limits::kMaxGgufArrayDepth)) {
      return LimitError(Where(key) + ": arrays within arrays, deeper than " +
                        std::to_string(limits::kMaxGgufArrayDepth));
    }
    FASTKV_ASSIGN_OR_RETURN(const ArrayHead inner, ReadArrayHead(key, reader));
    open.push_back(inner);
  }
  return OkStatus();
}

Result<GgufValue> ReadValue(std::string_view key, ByteReader& reader) {
  GgufValue value;
  FASTKV_ASSIGN_OR_RETURN(value.type, ReadType(key, reader));
  if (value.type == GgufType::kArray) {
    FASTKV_ASSIGN_OR_RETURN(const ArrayHead head, ReadArrayHead(key, reader));
    value.element_type = head.element_type;
    value.num_elements = head.num_elements;
    ByteReader elements = reader;
    FASTKV_RETURN_IF_ERROR(SkipElements(key, head, elements));
    value.bytes = *reader.Take(elements.position() - reader.position());
    return value;
  }
  uint64_t size = BytesOf(value.type);
  if (value.type == GgufType::kString) {
    const auto length = reader.Read<uint64_t>();
    if (!length) return CutOff(key, reader);
    size = *length;
  }
  const auto bytes = reader.Take(size);
  if (!bytes) return CutOff(key, reader);
  value.bytes = *bytes;
  if (value.type == GgufType::kBool && static_cast<uint8_t>(value.bytes[0]) > 1) {
    return FormatError(Where(key) + ": expected 0 or 1 for a bool, found " +
                       std::to_string(static_cast<uint8_t>(value.bytes[0])));
  }
  return value;
}

template <typename T>
T ValueAt(std::span<const std::byte> bytes, uint64_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

// The integer at `index`; nothing for other types and for what does not fit.
std::optional<int64_t> IntAt(GgufType type, std::span<const std::byte> bytes, uint64_t index) {
  switch (type) {
    case GgufType::kU8:
      return ValueAt<uint8_t>(bytes, index);
    case GgufType::kI8:
      return ValueAt<int8_t>(bytes, index);
    case GgufType::kU16:
      return ValueAt<uint16_t>(bytes, index);
    case GgufType::kI16:
      return ValueAt<int16_t>(bytes, index);
    case GgufType::kU32:
      return ValueAt<uint32_t>(bytes, index);
    case GgufType::kI32:
      return ValueAt<int32_t>(bytes, index);
    case GgufType::kI64:
      return ValueAt<int64_t>(bytes, index);
    case GgufType::kU64: {
      const auto value = ValueAt<uint64_t>(bytes, index);
      if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> NumberAt(GgufType type, std::span<const std::byte> bytes, uint64_t index) {
  if (type == GgufType::kF32) return ValueAt<float>(bytes, index);
  if (type == GgufType::kF64) return ValueAt<double>(bytes, index);
  const std::optional<int64_t> integer = IntAt(type, bytes, index);
  if (!integer) return std::nullopt;
  return static_cast<double>(*integer);
}

// A value as messages show it.
std::string Shown(const GgufValue& value) {
  if (value.type == GgufType::kString) return Quoted(TextOf(value.bytes));
  if (value.type == GgufType::kArray) {
    return "an array of " + std::to_string(value.num_elements) + " " +
           std::string(NameOf(value.element_type));
  }
  if (value.type == GgufType::kBool) return value.bytes[0] == std::byte{0} ? "false" : "true";
  if (value.type == GgufType::kU64) return std::to_string(ValueAt<uint64_t>(value.bytes, 0));
  if (const auto integer = IntAt(value.type, value.bytes, 0)) return std::to_string(*integer);
  return std::to_string(NumberAt(value.type, value.bytes, 0).value_or(0));
}

Status Missing(std::string_view key) {
  return FormatError(Where(key) + " is missing; is this a complete language model?");
}

Status Wrong(std::string_view key, const std::string& expected, const GgufValue& value) {
  return FormatError(Where(key) + ": expected " + expected + ", found " + Shown(value));
}

}  // namespace

Result<GgufMetadata> GgufMetadata::Read(ByteReader& reader, uint64_t count) {
  if (count > static_cast<uint64_t>(limits::kMaxGgufKeys)) {
    return LimitError("the file claims " + std::to_string(count) + " metadata keys; at most " +
                      std::to_string(limits::kMaxGgufKeys) + " are allowed");
  }
  GgufMetadata metadata;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string number =
        "metadata key " + std::to_string(i + 1) + " of " + std::to_string(count);
    const auto size = reader.Read<uint64_t>();
    if (!size) {
      return FormatError("the file ends before " + number + "; is the download complete?");
    }
    if (*size == 0) return FormatError(number + " is empty");
    if (*size > limits::kMaxGgufKeyBytes) {
      return LimitError(number + " is " + std::to_string(*size) + " bytes long; at most " +
                        std::to_string(limits::kMaxGgufKeyBytes) + " are allowed");
    }
    const auto text = reader.Take(*size);
    if (!text) {
      return FormatError(number + " is longer than the " +
                         std::to_string(reader.remaining_bytes()) +
                         " bytes left of the file; is the download complete?");
    }
    std::string key(TextOf(*text));
    FASTKV_ASSIGN_OR_RETURN(const GgufValue value, ReadValue(key, reader));
    metadata.entries_.push_back({std::move(key), value});
  }
  std::sort(metadata.entries_.begin(), metadata.entries_.end(),
            [](const Entry& a, const Entry& b) { return a.key < b.key; });
  const auto twice =
      std::adjacent_find(metadata.entries_.begin(), metadata.entries_.end(),
                         [](const Entry& a, const Entry& b) { return a.key == b.key; });
  if (twice != metadata.entries_.end()) return FormatError(Where(twice->key) + " occurs twice");
  return metadata;
}

const GgufValue* GgufMetadata::Find(std::string_view key) const {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), key,
      [](const Entry& entry, std::string_view wanted) { return entry.key < wanted; });
  return found == entries_.end() || found->key != key ? nullptr : &found->value;
}

std::vector<std::string_view> GgufMetadata::Keys() const {
  std::vector<std::string_view> keys;
  keys.reserve(entries_.size());
  for (const Entry& entry : entries_) keys.push_back(entry.key);
  return keys;
}

Result<int64_t> GgufMetadata::Int(std::string_view key, int64_t min, int64_t max) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return Missing(key);
  const std::optional<int64_t> integer = IntAt(value->type, value->bytes, 0);
  if (!integer || *integer < min || *integer > max) {
    return Wrong(key, "an integer from " + std::to_string(min) + " to " + std::to_string(max),
                 *value);
  }
  return *integer;
}

Result<double> GgufMetadata::Number(std::string_view key, double min, double max) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return Missing(key);
  const std::optional<double> number = NumberAt(value->type, value->bytes, 0);
  if (!number || !std::isfinite(*number) || *number < min || *number > max) {
    return Wrong(key, "a number from " + std::to_string(min) + " to " + std::to_string(max),
                 *value);
  }
  return *number;
}

Result<bool> GgufMetadata::Bool(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return Missing(key);
  if (value->type != GgufType::kBool) return Wrong(key, "a bool", *value);
  return value->bytes[0] != std::byte{0};
}

Result<std::string_view> GgufMetadata::String(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return Missing(key);
  if (value->type != GgufType::kString) return Wrong(key, "a string", *value);
  return TextOf(value->bytes);
}

Result<const GgufValue*> GgufMetadata::Array(std::string_view key, int64_t max_elements,
                                             std::string_view expected) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return Missing(key);
  if (value->type != GgufType::kArray) return Wrong(key, std::string(expected), *value);
  if (value->num_elements > static_cast<uint64_t>(max_elements)) {
    return LimitError(Where(key) + ": " + std::to_string(value->num_elements) +
                      " elements; at most " + std::to_string(max_elements) + " are allowed");
  }
  return value;
}

Result<std::vector<std::string_view>> GgufMetadata::Strings(std::string_view key,
                                                            int64_t max_elements) const {
  constexpr std::string_view kExpected = "an array of strings";
  FASTKV_ASSIGN_OR_RETURN(const GgufValue* value, Array(key, max_elements, kExpected));
  if (value->element_type != GgufType::kString) return Wrong(key, std::string(kExpected), *value);
  std::vector<std::string_view> texts;
  texts.reserve(value->num_elements);
  // The lengths are read a second time here, and the file may have changed since the first.
  ByteReader reader(value->bytes);
  for (uint64_t i = 0; i < value->num_elements; ++i) {
    const auto size = reader.Read<uint64_t>();
    const auto text = size ? reader.Take(*size) : std::nullopt;
    if (!text) return CutOff(key, reader);
    texts.push_back(TextOf(*text));
  }
  return texts;
}

Result<std::vector<int64_t>> GgufMetadata::Ints(std::string_view key, int64_t max_elements) const {
  constexpr std::string_view kExpected = "an array of integers";
  FASTKV_ASSIGN_OR_RETURN(const GgufValue* value, Array(key, max_elements, kExpected));
  std::vector<int64_t> numbers;
  numbers.reserve(BytesOf(value->element_type) == 0 ? 0 : value->num_elements);
  for (uint64_t i = 0; i < value->num_elements; ++i) {
    const std::optional<int64_t> number = IntAt(value->element_type, value->bytes, i);
    if (!number) return Wrong(key, std::string(kExpected), *value);
    numbers.push_back(*number);
  }
  return numbers;
}

Result<std::vector<float>> GgufMetadata::Floats(std::string_view key, int64_t max_elements) const {
  constexpr std::string_view kExpected = "an array of finite numbers";
  FASTKV_ASSIGN_OR_RETURN(const GgufValue* value, Array(key, max_elements, kExpected));
  std::vector<float> numbers;
  numbers.reserve(BytesOf(value->element_type) == 0 ? 0 : value->num_elements);
  for (uint64_t i = 0; i < value->num_elements; ++i) {
    const std::optional<double> number = NumberAt(value->element_type, value->bytes, i);
    if (!number || !std::isfinite(*number)) return Wrong(key, std::string(kExpected), *value);
    numbers.push_back(static_cast<float>(*number));
  }
  return numbers;
}

Result<int64_t> GgufMetadata::IntOr(std::string_view key, int64_t otherwise, int64_t min,
                                    int64_t max) const {
  if (!Has(key)) return otherwise;
  return Int(key, min, max);
}

Result<double> GgufMetadata::NumberOr(std::string_view key, double otherwise, double min,
                                      double max) const {
  if (!Has(key)) return otherwise;
  return Number(key, min, max);
}

Result<bool> GgufMetadata::BoolOr(std::string_view key, bool otherwise) const {
  if (!Has(key)) return otherwise;
  return Bool(key);
}

Result<std::string_view> GgufMetadata::StringOr(std::string_view key,
                                                std::string_view otherwise) const {
  if (!Has(key)) return otherwise;
  return String(key);
}

}  // namespace fastkv
