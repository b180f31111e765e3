#include "fastkv/version.h"

#include <vector>

#include "backend/backend.h"
#include "backend/cpu/cpu_features.h"
#include "build_info.h"

namespace fastkv {

std::string VersionLine() {
  return "fastkv " FASTKV_VERSION " (commit " FASTKV_COMMIT ", " FASTKV_COMPILER
         ", " FASTKV_BUILD_TYPE ")";
}

Json BuildJson() {
  Json json;
  json["version"] = FASTKV_VERSION;
  json["commit"] = FASTKV_COMMIT;
  json["compiler"] = FASTKV_COMPILER;
  json["build_type"] = FASTKV_BUILD_TYPE;
  json["flags"] = FASTKV_COMPILER_FLAGS;
  return json;
}

Json VersionJson() {
  const std::vector<std::string> devices = ListCudaDevices();
  Json json = BuildJson();
  json["cpu_level"] = std::string(CpuLevelName(SelectCpuLevel()));
  json["cuda_devices"] = devices;
  return json;
}

}  // namespace fastkv
