// Which rule says what goes on from layer to layer, and its parameters. Each rule reads what
// concerns it; docs/propagation.md has the formulas and where they come from.
#ifndef FASTKV_METHOD_PROPAGATION_CONFIG_H_
#define FASTKV_METHOD_PROPAGATION_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fastkv {

struct PropagationConfig {
  std::string rule = "fastkv";  // one of PropagationNames()

  // schedule, uniprefill, promptdistill: the layers that cut, ascending. Empty: each rule's own.
  std::vector<int64_t> layers;
  // schedule: the share of the prompt that goes on after each of `layers`, not rising.
  std::vector<double> rates;

  // asl (RankAgreementOptions). Not set: scaled to the model's depth.
  std::optional<int64_t> first_layer;
  std::optional<int64_t> agreement_layers;
  double agreement_threshold = 0.3;

  // claa (LayerVotesOptions): layers that vote, the TSP layer the last. Not set: 4, or as many as
  // there are.
  std::optional<int64_t> votes;
  bool standard_scores = true;
  bool add_heads = false;

  // mass, entropy: at least this share of the prompt goes on; at most MethodConfig::tsp does.
  double mass = 0.95;         // of the window's attention
  double entropy_factor = 2;  // tokens for each that a flat distribution of this entropy covers
  double min_rate = 0.05;

  // uniprefill (BlockMassOptions).
  double block_mass = 0.99;
  int64_t block_tokens = 64;
  int64_t block_sinks = 128;
  int64_t block_window = 128;
  bool past_only = false;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_CONFIG_H_
