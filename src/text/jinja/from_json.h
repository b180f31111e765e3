// JSON values as template values.
#ifndef FASTKV_TEXT_JINJA_FROM_JSON_H_
#define FASTKV_TEXT_JINJA_FROM_JSON_H_

#include "io/json.h"
#include "text/jinja/runtime.h"

namespace fastkv::jinja {

// Who wrote the strings of a value.
enum class Origin : uint8_t {
  kTrusted,
  kUntrusted,
  // A list of messages: untrusted but for roles that are plain words. Templates spell special
  // tokens with the role in the middle (`<|user|>`), and the program that holds the conversation
  // sets it.
  kMessages,
};

// Errors: kLimit for values nested deeper than limits::kMaxJsonDepth.
Result<Value> FromJson(Runtime& runtime, const Json& json, Origin origin);

// About how many bytes `json` holds: strings, keys and a word for everything else.
uint64_t JsonBytes(const Json& json);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_FROM_JSON_H_
