// JSON with limits. One parser for every JSON document but tokenizer.json: depth at most
// limits::kMaxJsonDepth, no duplicate keys, valid UTF-8, no numbers beyond double's range. Nothing
// recurses over input.
#ifndef FASTKV_IO_JSON_H_
#define FASTKV_IO_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "io/file.h"

namespace fastkv {

// Objects keep the order of the document; integers and floats stay apart.
using Json = nlohmann::ordered_json;

// Errors: kFormat with the byte offset (malformed, duplicate key, number out of range), kLimit
// (depth).
Result<Json> ParseJson(std::string_view text);

// Reads and parses; messages name the path.
Result<Json> ReadJsonFile(FileSystem& files, const std::string& path, uint64_t max_bytes);

// Compact text without exceptions; invalid UTF-8 becomes U+FFFD. Iterative.
std::string DumpJson(const Json& value);

// Typed access to the fields of one object, with messages that name the file, the field, what was
// expected and what came. A null field counts as missing. The object must outlive the reader.
class JsonFields {
 public:
  // `context` names the document in messages, such as "config.json".
  // Errors: kFormat when `object` is not an object.
  static Result<JsonFields> Of(const Json& object, std::string context);

  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  // The member, or nullptr when it is missing or null.
  const Json* Find(std::string_view name) const;

  // The value of `name`, which must be there and (for integers) in [min, max].
  Result<int64_t> Int(std::string_view name, int64_t min, int64_t max) const;
  // Finite numbers only.
  Result<double> Number(std::string_view name, double min, double max) const;
  Result<bool> Bool(std::string_view name) const;
  Result<std::string> String(std::string_view name) const;

  // The same, with a default for a missing field.
  Result<int64_t> IntOr(std::string_view name, int64_t otherwise, int64_t min, int64_t max) const;
  Result<double> NumberOr(std::string_view name, double otherwise, double min, double max) const;
  Result<bool> BoolOr(std::string_view name, bool otherwise) const;
  Result<std::string> StringOr(std::string_view name, std::string otherwise) const;

  const std::string& context() const { return context_; }

 private:
  JsonFields(const Json& object, std::string context)
      : object_(&object), context_(std::move(context)) {}
  Status Wrong(std::string_view name, std::string_view expected) const;

  const Json* object_;
  std::string context_;
};

}  // namespace fastkv

#endif  // FASTKV_IO_JSON_H_
