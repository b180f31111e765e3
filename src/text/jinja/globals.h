// The functions every template can call.
#ifndef FASTKV_TEXT_JINJA_GLOBALS_H_
#define FASTKV_TEXT_JINJA_GLOBALS_H_

#include <string_view>

#include "text/jinja/runtime_objects.h"

namespace fastkv::jinja {

// range, dict, namespace, cycler, joiner of jinja2; raise_exception and strftime_now of
// Transformers. nullptr for other names.
const GlobalFunction* FindGlobal(std::string_view name);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_GLOBALS_H_
