// RULER's variable tracking: a chain of assignments in repeated noise, after a solved example.
#ifndef FASTKV_EVAL_RULER_VARIABLE_TRACKING_H_
#define FASTKV_EVAL_RULER_VARIABLE_TRACKING_H_

#include <memory>

#include "eval/ruler/ruler_task.h"

namespace fastkv {

std::unique_ptr<RulerTask> CreateVariableTrackingTask();

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_VARIABLE_TRACKING_H_
