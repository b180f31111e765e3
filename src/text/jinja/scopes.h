// Finds out which frame each name of a template belongs to, by the rules of jinja2: a name is local
// to a frame when it is set anywhere in it, and what it holds before that is decided when the frame
// is entered.
//
// Thread-safety: pure function.
#ifndef FASTKV_TEXT_JINJA_SCOPES_H_
#define FASTKV_TEXT_JINJA_SCOPES_H_

#include "base/status.h"
#include "text/jinja/ast.h"

namespace fastkv::jinja {

// Fills in slots and frames. Errors: kUnsupported for filters and tests nobody knows, kFormat for
// assignments to `loop` and for break or continue outside a loop; with the line.
Status ResolveNames(Tree* tree);

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_SCOPES_H_
