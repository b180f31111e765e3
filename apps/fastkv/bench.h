// `fastkv bench`: how fast prompts and decoding run, method against method and against what the
// machine can do.
#ifndef FASTKV_APPS_BENCH_H_
#define FASTKV_APPS_BENCH_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "fastkv/model_flags.h"

namespace fastkv {

struct BenchOptions {
  ModelFlags model;
  MethodFlags method;  // its settings hold for every method that reads them
  std::vector<std::string> methods = {"full", "fastkv"};
  std::vector<std::string> contexts = {"4096"};  // as ParseNumberList takes them
  int64_t new_tokens = 32;
  int64_t repeat = 3;
  int64_t batch = 1;
  std::string shape;  // a config.json; the weights are then random
  uint64_t seed = 1;
  double ceiling_ms = 500;
  bool breakdown = false;
  std::string page;
  std::string format = "text";  // text, md, csv or json
  bool json = false;
  bool quiet = false;
};

void AddBenchOptions(CLI::App& command, BenchOptions& options);
// Errors: kInvalidArgument for lists and sizes that make no sense, before anything is measured;
// those of loading and of the device. What does not fit in memory is a row with an error, not a
// failure.
Status RunBench(const BenchOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_BENCH_H_
