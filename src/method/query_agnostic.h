// Whether a method may compress a context before a question about it is known.
#ifndef FASTKV_METHOD_QUERY_AGNOSTIC_H_
#define FASTKV_METHOD_QUERY_AGNOSTIC_H_

#include "method/prefill_plan.h"

namespace fastkv {

// True where no token's query is looked at for its place in the prompt: entries are chosen by
// position, by keys and values, or by statistics that take all queries alike, and every token goes
// through every layer. Told from what the plan asks to see, as a selector sees nothing else; so of
// a prompt that the plan drops nothing of, it is true for every method. H2O's sums count as
// looking: they are attention paid by particular tokens, a question's own among them.
bool IsQueryAgnostic(const PrefillPlan& plan);

}  // namespace fastkv

#endif  // FASTKV_METHOD_QUERY_AGNOSTIC_H_
