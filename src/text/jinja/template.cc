#include "text/jinja/template.h"

#include <map>
#include <utility>

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace fastkv::jinja {
namespace {

// Messages are one line, whatever a template raises.
Status OneLine(const Status& status) {
  std::string message = status.message();
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return Status(status.code(), std::move(message));
}

}  // namespace

Result<Template> Template::Parse(std::string_view source) {
  Result<std::unique_ptr<const Tree>> tree = ParseTemplate(source);
  if (!tree.ok()) return OneLine(tree.status());
  return Template(std::move(*tree));
}

Result<std::vector<TextSegment>> Template::Render(const std::vector<Variable>& variables,
                                                  const LocalTime& now) const {
  uint64_t input_bytes = tree_->source_bytes;
  for (const Variable& variable : variables) input_bytes += JsonBytes(*variable.value);
  Budget budget(input_bytes);
  Runtime runtime(&budget);
  runtime.now = now;
  std::map<std::string, Value, std::less<>> values;
  for (const Variable& variable : variables) {
    Result<Value> value = FromJson(runtime, *variable.value, variable.origin);
    if (!value.ok()) return value.status().WithContext(variable.name);
    values[variable.name] = *value;
  }
  TextBuffer output;
  const Status status = Interpreter(*tree_, values, &runtime).Run(&output);
  if (!status.ok()) return OneLine(status);
  return Segments({&output, 0, static_cast<uint32_t>(output.bytes.size())});
}

}  // namespace fastkv::jinja
