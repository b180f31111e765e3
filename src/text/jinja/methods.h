// The methods that values have, by type.
#ifndef FASTKV_TEXT_JINJA_METHODS_H_
#define FASTKV_TEXT_JINJA_METHODS_H_

#include <span>
#include <string_view>

#include "text/jinja/runtime_objects.h"

namespace fastkv::jinja {

// The method `name` of the type, or nullptr. Methods of Python that are not built here are found
// too; calling them is kUnsupported.
const Method* FindMethod(Kind kind, std::string_view name);
// Whether the sandbox hides the attribute: a method that would change a list or dictionary.
bool IsHidden(Kind kind, std::string_view name);

// The tables that FindMethod looks through.
std::span<const Method> TextMethods();
std::span<const Method> TextSearchMethods();
std::span<const Method> ContainerMethods(Kind kind);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_METHODS_H_
