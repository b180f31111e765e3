// The flags that say which tokens go on from layer to layer, beyond FastKV's fixed cut.
#ifndef FASTKV_APPS_PROPAGATION_FLAGS_H_
#define FASTKV_APPS_PROPAGATION_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "method/propagation_config.h"

namespace fastkv {

struct PropagationFlags {
  std::optional<std::string> rule;
  std::vector<int64_t> layers;
  std::vector<double> rates;
  std::optional<int64_t> votes;
  std::optional<double> mass;
  std::optional<double> entropy_factor;
  std::optional<double> min_rate;
  std::optional<int64_t> asl_first_layer;
  std::optional<int64_t> asl_layers;
  std::optional<double> asl_threshold;
  std::string vote_scores = "standard";
  std::string vote_heads = "max";
  std::optional<double> block_mass;
  std::optional<int64_t> block_size;
  std::optional<int64_t> block_sinks;
  std::optional<int64_t> block_window;
  bool block_past_only = false;
};

void AddPropagationFlags(CLI::App& command, PropagationFlags& flags);

// What the flags say. `auto_layer`: --tsp-layer was auto. Where no rule is named, the one whose
// flag was given: layers with rates mean schedule, votes claa, mass mass, entropy entropy, auto
// asl. Errors: kInvalidArgument where flags of different rules were given and no rule is named.
Result<PropagationConfig> PropagationConfigOf(const PropagationFlags& flags, bool auto_layer);

}  // namespace fastkv

#endif  // FASTKV_APPS_PROPAGATION_FLAGS_H_
