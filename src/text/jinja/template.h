// A chat template: source in, marked prompt text out, as jinja2 renders it in the sandboxed and
// immutable environment of Hugging Face Transformers.
#ifndef FASTKV_TEXT_JINJA_TEMPLATE_H_
#define FASTKV_TEXT_JINJA_TEMPLATE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/json.h"
#include "text/jinja/from_json.h"
#include "text/jinja/local_time.h"
#include "text/text_segment.h"

namespace fastkv::jinja {

struct Tree;

// A variable the template sees. Later ones of the same name win.
struct Variable {
  std::string name;
  const Json* value = nullptr;  // must outlive the call
  Origin origin = Origin::kUntrusted;
};

// Immutable and thread-safe.
class Template {
 public:
  // Errors: as ParseTemplate (parser.h).
  static Result<Template> Parse(std::string_view source);

  // The prompt text, cut where its marks change. Errors: kInvalidArgument (the template raised an
  // exception or does what Python forbids), kUnsupported (something the interpreter does not know),
  // kLimit (steps, depth, memory or output beyond limits.h); the message names the line.
  Result<std::vector<TextSegment>> Render(const std::vector<Variable>& variables,
                                          const LocalTime& now) const;

 private:
  explicit Template(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}

  std::shared_ptr<const Tree> tree_;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_TEMPLATE_H_
