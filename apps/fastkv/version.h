// `fastkv version` and `--version`: what this build is and what it found.
#ifndef FASTKV_APPS_VERSION_H_
#define FASTKV_APPS_VERSION_H_

#include <string>

#include "io/json.h"

namespace fastkv {

// "fastkv 0.1.0 (commit, compiler, build type)".
std::string VersionLine();
// version, commit, compiler, build_type, flags.
Json BuildJson();
// BuildJson's, and what was found: cpu_level, cuda_devices.
Json VersionJson();

}  // namespace fastkv

#endif  // FASTKV_APPS_VERSION_H_
