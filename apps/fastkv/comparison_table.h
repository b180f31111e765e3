// A side-by-side run as text for a terminal.
#ifndef FASTKV_APPS_COMPARISON_TABLE_H_
#define FASTKV_APPS_COMPARISON_TABLE_H_

#include <string>

#include "eval/method_comparison.h"

namespace fastkv {

// The measurements, then each question with its answers. `colour`: with ANSI colours. Control
// characters in answers are replaced.
std::string ComparisonTable(const MethodComparison& comparison, bool colour);

// Whether standard output takes colours: a terminal, and NO_COLOR is not set.
bool StandardOutputTakesColour();

}  // namespace fastkv

#endif  // FASTKV_APPS_COMPARISON_TABLE_H_
