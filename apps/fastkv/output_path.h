// Files that a command writes at its end.
#ifndef FASTKV_APPS_OUTPUT_PATH_H_
#define FASTKV_APPS_OUTPUT_PATH_H_

#include <string>

#include "base/status.h"

namespace fastkv {

// Fails before long runs where their output could not be written after them: kInvalidArgument,
// naming `flag`, where the folder of `path` does not exist.
Status CheckOutputPath(const std::string& flag, const std::string& path);

}  // namespace fastkv

#endif  // FASTKV_APPS_OUTPUT_PATH_H_
