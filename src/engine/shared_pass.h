// Several methods that read one prompt together: one pass through the layers, from which each keeps
// its own entries. What they share is everything but selection and storing, so a further method
// that drops no tokens on the way costs next to nothing.
#ifndef FASTKV_ENGINE_SHARED_PASS_H_
#define FASTKV_ENGINE_SHARED_PASS_H_

#include <span>

#include "method/prefill_plan.h"

namespace fastkv {

// Whether one pass can serve both, as far as their plans tell: the same tokens reach every layer,
// the prompt is read once, all is settled beforehand and nothing is dropped while decoding. That
// both send the *same* tokens on at a cut shows only when they select.
bool CanReadTogether(const PrefillPlan& a, const PrefillPlan& b);

// The pass for all of `plans`: it observes what any of them wants, and a layer keeps all where any
// of them does. REQUIRES: at least one; any two of them can be read together.
PrefillPlan CommonPass(std::span<const PrefillPlan> plans);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_SHARED_PASS_H_
