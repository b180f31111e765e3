// The page that shows a speed measurement: one self-contained HTML file, no script, no network,
// light and dark, for a screen of any width and for paper.
#ifndef FASTKV_EVAL_SPEED_PAGE_H_
#define FASTKV_EVAL_SPEED_PAGE_H_

#include <string>

#include "eval/speed_report.h"

namespace fastkv {

// Time to the first token and time of a further token against the context, one line a method;
// memory as bars; everything as a table. Everything in `report` is escaped. REQUIRES: at least one
// row.
std::string RenderSpeedPage(const SpeedReport& report);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SPEED_PAGE_H_
