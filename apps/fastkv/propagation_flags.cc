#include "fastkv/propagation_flags.h"

#include <utility>

#include "method/adaptive_rules.h"

namespace fastkv {
namespace {

// The rule that flags alone choose.
Result<std::string> ImpliedRule(const PropagationFlags& flags, bool auto_layer) {
  const std::pair<bool, std::pair<const char*, const char*>> choices[] = {
      {auto_layer, {"--tsp-layer auto", "asl"}},
      {!flags.layers.empty() || !flags.rates.empty(), {"--tsp-layers", "schedule"}},
      {flags.votes.has_value(), {"--tsp-votes", "claa"}},
      {flags.mass.has_value(), {"--tsp-mass", "mass"}},
      {flags.entropy_factor.has_value(), {"--tsp-entropy", "entropy"}},
  };
  const char* chosen_by = nullptr;
  std::string rule = "fastkv";
  for (const auto& [is_given, choice] : choices) {
    if (!is_given) continue;
    if (chosen_by != nullptr) {
      return InvalidArgumentError(std::string(chosen_by) + " and " + choice.first +
                                  " choose different rules; give one of them, or --tsp-rule");
    }
    chosen_by = choice.first;
    rule = choice.second;
  }
  return rule;
}

template <typename T>
void Set(const std::optional<T>& flag, T& field) {
  if (flag) field = *flag;
}

}  // namespace

void AddPropagationFlags(CLI::App& command, PropagationFlags& flags) {
  std::string names;
  for (const std::string& name : PropagationNames()) names += (names.empty() ? "" : ", ") + name;
  command.add_option("--tsp-rule", flags.rule,
                     "Which tokens go on from layer to layer: " + names + " [default: fastkv]");
  command
      .add_option("--tsp-layers", flags.layers,
                  "Layers that cut, such as 7,15: with --tsp-rates a schedule; also for uniprefill "
                  "and promptdistill")
      ->delimiter(',');
  command
      .add_option("--tsp-rates", flags.rates,
                  "Share of the prompt that goes on after each of --tsp-layers, such as 0.5,0.2")
      ->delimiter(',');
  command.add_option("--tsp-votes", flags.votes,
                     "Rule claa: layers whose scores count, the TSP layer the last [default: 4]");
  command
      .add_option("--vote-scores", flags.vote_scores, "Rule claa: standard scores or plain ones")
      ->capture_default_str()
      ->check(CLI::IsMember({"standard", "plain"}));
  command
      .add_option("--vote-heads", flags.vote_heads, "Rule claa: max or sum of a layer's KV heads")
      ->capture_default_str()
      ->check(CLI::IsMember({"max", "sum"}));
  command.add_option("--tsp-mass", flags.mass,
                     "Rule mass: propagate the tokens that hold this share of the window's "
                     "attention, at most --tsp-rate [default: 0.95]");
  command.add_option("--tsp-entropy", flags.entropy_factor,
                     "Rule entropy: propagate this many times the tokens that the attention's "
                     "entropy counts, at most --tsp-rate [default: 2]");
  command.add_option("--tsp-min-rate", flags.min_rate,
                     "Rules mass and entropy: propagate at least this share [default: 0.05]");
  command.add_option("--asl-first-layer", flags.asl_first_layer,
                     "Rule asl: first layer that may cut [default: 10, less in models of fewer "
                     "than 32 layers]");
  command.add_option("--asl-layers", flags.asl_layers,
                     "Rule asl: layers whose ranks are compared [default: 8]");
  command.add_option("--asl-threshold", flags.asl_threshold,
                     "Rule asl: cut where the variance of ranks has fallen to this share "
                     "[default: 0.3]");
  command.add_option("--block-mass", flags.block_mass,
                     "Rule uniprefill: share of attention that the kept blocks hold "
                     "[default: 0.99]");
  command.add_option("--block-size", flags.block_size,
                     "Rule uniprefill: tokens in a block [default: 64]");
  command.add_option("--block-sinks", flags.block_sinks,
                     "Rule uniprefill: first tokens that always go on [default: 128]");
  command.add_option("--block-window", flags.block_window,
                     "Rule uniprefill: last tokens, which score the blocks [default: 128]");
  command.add_flag("--block-past-only", flags.block_past_only,
                   "Rule uniprefill: measure the share between sinks and window alone");
}

Result<PropagationConfig> PropagationConfigOf(const PropagationFlags& flags, bool auto_layer) {
  PropagationConfig config;
  if (flags.rule) {
    config.rule = *flags.rule;
  } else {
    FASTKV_ASSIGN_OR_RETURN(config.rule, ImpliedRule(flags, auto_layer));
  }
  config.layers = flags.layers;
  config.rates = flags.rates;
  config.first_layer = flags.asl_first_layer;
  config.agreement_layers = flags.asl_layers;
  Set(flags.asl_threshold, config.agreement_threshold);
  config.votes = flags.votes;
  config.standard_scores = flags.vote_scores == "standard";
  config.add_heads = flags.vote_heads == "sum";
  Set(flags.mass, config.mass);
  Set(flags.entropy_factor, config.entropy_factor);
  Set(flags.min_rate, config.min_rate);
  Set(flags.block_mass, config.block_mass);
  Set(flags.block_size, config.block_tokens);
  Set(flags.block_sinks, config.block_sinks);
  Set(flags.block_window, config.block_window);
  config.past_only = flags.block_past_only;
  return config;
}

}  // namespace fastkv
