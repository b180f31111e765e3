// `fastkv chat`: a conversation in turns over a compressed cache.
#ifndef FASTKV_APPS_CHAT_H_
#define FASTKV_APPS_CHAT_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "fastkv/model_flags.h"
#include "fastkv/sampling_flags.h"

namespace fastkv {

struct ChatOptions {
  ModelFlags model;
  MethodFlags method;
  SamplingFlags sampling;
  int64_t min_kv_tokens = 512;
  std::optional<std::string> prompt;
  std::vector<std::string> prompt_files;
  std::string system;
  bool protect_system = false;
  std::string load_path;
  int64_t max_new_tokens = 1024;
  bool ignore_eos = false;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

void AddChatOptions(CLI::App& command, ChatOptions& options);

// Lines come from standard input: a terminal is edited, anything else is read as it is and makes
// the command a filter. Answers go to `out`, everything else to standard error.
Status RunChat(const ChatOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_H_
