// `fastkv calibrate`: finds the layer behind which a model's tokens may be cut, and writes it into
// the model's profile.
#ifndef FASTKV_APPS_CALIBRATE_H_
#define FASTKV_APPS_CALIBRATE_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "fastkv/model_flags.h"

namespace fastkv {

struct CalibrateOptions {
  ModelFlags model;
  std::vector<std::string> prompt_files;  // empty: built-in prompts
  std::optional<int64_t> length;          // of the built-in prompts, in tokens
  std::optional<int64_t> num_samples;
  int64_t continuation_tokens = 16;
  uint64_t seed = 1;
  std::optional<double> tsp_rate;
  std::optional<int64_t> tsp_tokens;
  int64_t window = 8;
  int64_t kernel = 7;
  std::string pooling = "max";
  std::string layers;  // "4-12", "7", or empty
  std::optional<double> threshold;
  bool no_profile = false;
  std::string page;
  bool json = false;
  bool quiet = false;
};

void AddCalibrateOptions(CLI::App& command, CalibrateOptions& options);

// Where the profile or the page cannot be written, the result is printed all the same and that
// error is returned.
Status RunCalibrate(const CalibrateOptions& options, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_CALIBRATE_H_
