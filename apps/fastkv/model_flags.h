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
#include "method/method_config.h"

namespace fastkv {

struct ModelFlags {
  std::string model;  // empty: the needle model beside the program
  std::string device = "auto";
  int num_threads = 0;
  std::string dtype = "auto";
  std::string weights = "auto";
  std::string rope_dtype = "f32";
};

void AddModelFlags(CLI::App& command, ModelFlags& flags);

struct MethodFlags {
  std::string method = "fastkv";
  std::optional<double> kv_rate;
  std::optional<int64_t> kv_tokens;
  std::optional<double> compression_ratio;
  std::optional<double> tsp_rate;
  std::optional<int64_t> tsp_tokens;
  std::optional<int64_t> tsp_layer;
  int64_t window = 8;
  int64_t kernel = 7;
  std::string pooling = "max";
};

void AddMethodFlags(CLI::App& command, MethodFlags& flags);

// Errors: kInvalidArgument for flags that contradict each other.
Result<MethodConfig> MethodConfigOf(const MethodFlags& flags);

// The folder that `model` means: a path, `org/name` in the local Hugging Face cache, or the needle
// model for an empty string. Errors: kNotFound with the places that were looked at.
Result<std::string> ResolveModelPath(FileSystem& files, const std::string& model);

// Loads the model that the flags name, with a progress bar on standard error unless `quiet`.
Result<std::unique_ptr<Engine>> LoadEngine(const ModelFlags& flags, bool quiet);

}  // namespace fastkv

#endif  // FASTKV_APPS_MODEL_FLAGS_H_
