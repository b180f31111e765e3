// `fastkv inspect`: one prompt of token ids through a method, and everything a checker wants to
// see.
#ifndef FASTKV_APPS_INSPECT_H_
#define FASTKV_APPS_INSPECT_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <ostream>
#include <string>

#include "base/status.h"
#include "fastkv/model_flags.h"

namespace fastkv {

struct InspectOptions {
  ModelFlags model;
  MethodFlags method;
  std::string ids_file;
  int64_t new_tokens = 16;
  int64_t block_tokens = 0;
  bool no_positions = false;
  bool json = false;
};

void AddInspectOptions(CLI::App& command, InspectOptions& options);
Status RunInspect(const InspectOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_INSPECT_H_
