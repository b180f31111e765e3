// Rendering in one call, for tests.
#ifndef FASTKV_TEXT_JINJA_RENDER_FOR_TEST_H_
#define FASTKV_TEXT_JINJA_RENDER_FOR_TEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "text/jinja/template.h"

namespace fastkv::jinja {

inline Result<std::vector<TextSegment>> RenderSegments(std::string_view source,
                                                       const Json& variables = Json::object()) {
  FASTKV_ASSIGN_OR_RETURN(const Template parsed, Template::Parse(source));
  std::vector<Variable> given;
  for (const auto& [name, value] : variables.items()) {
    given.push_back({name, &value, name == "messages" ? Origin::kMessages : Origin::kUntrusted});
  }
  LocalTime now;
  now.year = 2025;
  now.month = 1;
  now.day = 2;
  return parsed.Render(given, now);
}

inline Result<std::string> RenderText(std::string_view source,
                                      const Json& variables = Json::object()) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<TextSegment> segments,
                          RenderSegments(source, variables));
  std::string text;
  for (const TextSegment& segment : segments) text += segment.text;
  return text;
}

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_RENDER_FOR_TEST_H_
