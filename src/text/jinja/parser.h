// Turns template source into a tree, with names resolved and filters and tests checked.
//
// Thread-safety: pure function.
#ifndef FASTKV_TEXT_JINJA_PARSER_H_
#define FASTKV_TEXT_JINJA_PARSER_H_

#include <memory>
#include <string_view>

#include "base/status.h"
#include "text/jinja/ast.h"

namespace fastkv::jinja {

// Errors, all with the line: kFormat (not a well-formed template), kLimit (longer than
// limits::kMaxTemplateBytes, nested deeper than limits::kMaxTemplateDepth, too many nodes),
// kUnsupported (a tag, filter or test that the interpreter does not know).
Result<std::unique_ptr<const Tree>> ParseTemplate(std::string_view source);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_PARSER_H_
