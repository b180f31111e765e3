// The flags of every subcommand that runs a model: which model, on what, and the method.
#ifndef FASTKV_APPS_MODEL_FLAGS_H_
#define FASTKV_APPS_MODEL_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "engine/engine.h"
#include "fastkv/propagation_flags.h"
#include "method/method_config.h"

namespace fastkv {

struct ModelFlags {
  std::string model;  // empty: the needle model beside the program
  std::string device = "auto";
  int num_threads = 0;
  std::string dtype = "auto";
  std::string weights = "auto";
  std::string kv_dtype = "auto";
  std::string rope_dtype = "f32";
  std::optional<int64_t> sliding_window_tokens;
  std::string profile;          // empty: beside the model
  bool ignore_profile = false;  // not a flag: for the command that makes profiles
};

void AddModelFlags(CLI::App& command, ModelFlags& flags);

struct MethodFlags {
  std::string method = "fastkv";
  std::optional<double> kv_rate;
  std::optional<int64_t> kv_tokens;
  std::optional<double> compression_ratio;
  std::optional<double> tsp_rate;
  std::optional<int64_t> tsp_tokens;
  std::optional<std::string> tsp_layer;  // a number, or auto
  PropagationFlags propagation;
  std::string retention = MethodConfig().retention;
  std::optional<int64_t> window;
  std::optional<int64_t> kernel;
  std::optional<std::string> pooling;
  int64_t sinks = MethodConfig().sinks;
  std::optional<int64_t> filter_layer;
  double recent_ratio = MethodConfig().recent_ratio;
  double decay_ratio = MethodConfig().decay_ratio;
  bool no_decode_eviction = false;
  int64_t pyramid_beta = MethodConfig().pyramid_beta;
  double adakv_alpha = MethodConfig().adakv_alpha;
  int64_t future_positions = MethodConfig().future_positions;
  int64_t protect_first = 0;
  int64_t protect_last = 0;
  bool require_method = false;
};

void AddMethodFlags(CLI::App& command, MethodFlags& flags);

// A flag that the method does not use is accepted. Errors: kInvalidArgument for flags that
// contradict each other.
Result<MethodConfig> MethodConfigOf(const MethodFlags& flags);

// The folder that `model` means: a path, `org/name` in the local Hugging Face cache, or the needle
// model for an empty string. Errors: kNotFound with the places that were looked at.
Result<std::string> ResolveModelPath(FileSystem& files, const std::string& model);

// What the flags say but for the model's place.
EngineOptions EngineOptionsOf(const ModelFlags& flags);

// Loads the model that the flags name, with a progress bar on standard error unless `quiet`.
Result<std::unique_ptr<Engine>> LoadEngine(const ModelFlags& flags, bool quiet);

}  // namespace fastkv

#endif  // FASTKV_APPS_MODEL_FLAGS_H_
