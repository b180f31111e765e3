// `fastkv generate`: a prompt in, an answer out, streamed as it is made.
#ifndef FASTKV_APPS_GENERATE_H_
#define FASTKV_APPS_GENERATE_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "fastkv/model_flags.h"
#include "fastkv/sampling_flags.h"

namespace fastkv {

struct GenerateOptions {
  ModelFlags model;
  MethodFlags method;
  std::optional<std::string> prompt;
  std::vector<std::string> prompt_files;
  bool chat = false;
  std::string system;
  bool protect_system = false;
  // Not set: 512 with `chat` where no budget is given, so that short questions stay whole; else 0.
  std::optional<int64_t> min_kv_tokens;
  int64_t max_new_tokens = 256;
  SamplingFlags sampling;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

void AddGenerateOptions(CLI::App& command, GenerateOptions& options);
Status RunGenerate(const GenerateOptions& options, std::istream& in, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_GENERATE_H_
