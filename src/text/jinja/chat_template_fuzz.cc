// Templates of any kind over a fixed conversation: parsing and rendering must end in a prompt or an
// error. What follows a NUL in the input, if it is JSON, becomes the conversation.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/limits.h"
#include "io/json.h"
#include "text/jinja/template.h"
#include "text/jinja/unicode.h"

namespace {

const char kMessages[] =
    R"([{"role":"system","content":"You help."},{"role":"user","content":"Hi, it's \"me\"\n"},)"
    R"({"role":"assistant","content":null,"tool_calls":[{"id":"abcdef123","type":"function",)"
    R"("function":{"name":"f","arguments":{"a":1,"b":[true,null,1.5e-7],"c":"日本"}}}]},)"
    R"({"role":"tool","content":[{"type":"text","text":" x "}],"tool_call_id":"abcdef123"}])";
const char kTools[] =
    R"([{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object",)"
    R"("properties":{"a":{"type":["string","null"]},"items":{"type":"array","items":{"type":"x"}}}}}}])";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using fastkv::Json;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  Json messages = *fastkv::ParseJson(kMessages);
  if (end != std::string_view::npos) {
    fastkv::Result<Json> given = fastkv::ParseJson(input.substr(end + 1));
    if (given.ok()) messages = *std::move(given);
    input = input.substr(0, end);
  }
  const fastkv::Result<fastkv::jinja::Template> parsed = fastkv::jinja::Template::Parse(input);
  if (!parsed.ok()) return 0;
  const Json tools = *fastkv::ParseJson(kTools);
  const Json token = "<s>";
  const Json yes = true;
  const auto segments =
      parsed->Render({{"messages", &messages, fastkv::jinja::Origin::kMessages},
                      {"tools", &tools, fastkv::jinja::Origin::kUntrusted},
                      {"bos_token", &token, fastkv::jinja::Origin::kTrusted},
                      {"add_generation_prompt", &yes, fastkv::jinja::Origin::kTrusted}},
                     {});
  if (!segments.ok()) return 0;
  // Marks cover the text without gaps, and no text becomes invalid.
  for (size_t i = 0; i < segments->size(); ++i) {
    const fastkv::TextSegment& segment = (*segments)[i];
    if (segment.text.empty()) std::abort();
    if (i > 0 && segment.trusted == (*segments)[i - 1].trusted) std::abort();
    if (!fastkv::jinja::IsValidUtf8(segment.text)) std::abort();
  }
  return 0;
}
