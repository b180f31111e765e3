// `fastkv demo`: a long prompt with facts hidden in it, answered with the full context and with a
// method side by side; a table on the terminal and a page that shows what was kept. Where a chat
// model is there, a second act reads a document with it.
#ifndef FASTKV_APPS_DEMO_H_
#define FASTKV_APPS_DEMO_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <ostream>
#include <string>

#include "base/status.h"
#include "fastkv/model_flags.h"

namespace fastkv {

struct DemoOptions {
  ModelFlags model;
  MethodFlags method;
  int64_t context_tokens = 16384;
  int64_t max_questions = 5;
  double time_budget_seconds = 85;
  uint64_t seed = 1;
  // The second act's model; empty: SmolLM2 beside the built-in model, where that one is run and
  // SmolLM2 has been fetched.
  std::string chat_model;
  std::string document;  // empty: a licence text that Debian installs
  std::string page = "fastkv-demo.html";
  bool json = false;
  bool quiet = false;
};

void AddDemoOptions(CLI::App& command, DemoOptions& options);
// Errors: those of loading, of running, and of writing the page.
Status RunDemo(const DemoOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_DEMO_H_
