#include "eval/suites/benchmark_task.h"

#include "io/quoted.h"

namespace fastkv {

std::string_view ProfileName(BenchmarkProfile profile) {
  return profile == BenchmarkProfile::kFastkv ? "fastkv" : "official";
}

Result<BenchmarkProfile> ParseProfile(std::string_view name) {
  for (const BenchmarkProfile profile : {BenchmarkProfile::kOfficial, BenchmarkProfile::kFastkv}) {
    if (name == ProfileName(profile)) return profile;
  }
  return InvalidArgumentError("expected the profile official or fastkv, got " + Quoted(name));
}

}  // namespace fastkv
