#include "method/adaptive_rules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include "method/rules.h"

namespace fastkv {
namespace {

constexpr std::array kNames = {"fastkv", "schedule", "asl",        "claa",
                               "mass",   "entropy",  "uniprefill", "promptdistill"};

// ASL's first layer and PromptDistill's layer as published, for models of 32 layers and more;
// smaller ones get the same share of their depth (ours).
constexpr int64_t kPublishedLayers = 32;
constexpr int64_t kAslFirstLayer = 10;
constexpr int64_t kAslLayers = 8;
constexpr int64_t kPromptDistillLayer = 13;
constexpr int64_t kClaaVotes = 4;
// UniPrefill's layers for Llama-3.1-8B: every fourth, from a quarter of the depth on, the last ones
// left out.
constexpr int64_t kBlockMassStep = 4;
// Far above what any count could need.
constexpr double kMaxEntropyFactor = 1000;

int64_t ScaledLayer(int64_t published, const ModelShape& shape) {
  return std::min(published, shape.num_layers * published / kPublishedLayers);
}

std::string Allowed(int64_t last_layer) {
  return "give layers from 0 to " + std::to_string(last_layer);
}

Status Wrong(const std::string& flag, const std::string& value, const std::string& allowed) {
  return InvalidArgumentError(flag + " is " + value + "; " + allowed);
}

Status CheckLayers(const std::vector<int64_t>& layers, const ModelShape& shape) {
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i] < 0 || layers[i] > shape.num_layers - 2) {
      return Wrong("--tsp-layers", std::to_string(layers[i]),
                   "this model has " + std::to_string(shape.num_layers) + " layers, " +
                       Allowed(shape.num_layers - 2));
    }
    if (i > 0 && layers[i] <= layers[i - 1]) {
      return Wrong("--tsp-layers",
                   std::to_string(layers[i - 1]) + " before " + std::to_string(layers[i]),
                   "give rising layers");
    }
  }
  return OkStatus();
}

Status CheckSchedule(const PropagationConfig& config) {
  if (config.layers.empty() || config.layers.size() != config.rates.size()) {
    return InvalidArgumentError("--tsp-layers names " + std::to_string(config.layers.size()) +
                                " layers and --tsp-rates " + std::to_string(config.rates.size()) +
                                " shares; give one share for each layer");
  }
  double before = 1;
  for (const double rate : config.rates) {
    if (!(rate > 0 && rate <= before)) {
      return Wrong("--tsp-rates", std::to_string(rate),
                   "give shares of the prompt above 0, none larger than the one before");
    }
    before = rate;
  }
  return OkStatus();
}

Status CheckShare(double value, const char* flag) {
  if (value >= 0 && value <= 1) return OkStatus();
  return Wrong(flag, std::to_string(value), "give a share from 0 to 1");
}

Status CheckRankAgreement(const MethodConfig& config, const ModelShape& shape) {
  const RankAgreementOptions options = RankAgreementOptionsOf(config, shape);
  if (options.first_layer < 0 || options.first_layer > shape.num_layers - 2) {
    return Wrong("--asl-first-layer", std::to_string(options.first_layer),
                 Allowed(shape.num_layers - 2));
  }
  if (options.num_layers < 1 || options.num_layers > options.first_layer + 1) {
    return Wrong("--asl-layers", std::to_string(options.num_layers),
                 "with first layer " + std::to_string(options.first_layer) + " give 1 to " +
                     std::to_string(options.first_layer + 1));
  }
  if (!(options.threshold >= 0) || !std::isfinite(options.threshold)) {
    return Wrong("--asl-threshold", std::to_string(options.threshold),
                 "give a number of at least 0");
  }
  return OkStatus();
}

Status CheckBlockMass(const PropagationConfig& config) {
  for (const auto& [value, least, flag] :
       {std::tuple{config.block_tokens, int64_t{1}, "--block-size"},
        {config.block_sinks, int64_t{0}, "--block-sinks"},
        {config.block_window, int64_t{1}, "--block-window"}}) {
    if (value < least) {
      return Wrong(flag, std::to_string(value), "give at least " + std::to_string(least));
    }
  }
  return CheckShare(config.block_mass, "--block-mass");
}

}  // namespace

std::vector<std::string> PropagationNames() { return {kNames.begin(), kNames.end()}; }

RankAgreementOptions RankAgreementOptionsOf(const MethodConfig& config, const ModelShape& shape) {
  const PropagationConfig& propagation = config.propagation;
  RankAgreementOptions options;
  options.first_layer = propagation.first_layer.value_or(ScaledLayer(kAslFirstLayer, shape));
  options.num_layers =
      propagation.agreement_layers.value_or(std::min(kAslLayers, options.first_layer + 1));
  options.threshold = propagation.agreement_threshold;
  return options;
}

int64_t VotesOf(const MethodConfig& config, int64_t layer) {
  return config.propagation.votes.value_or(std::min(kClaaVotes, layer + 1));
}

std::vector<int64_t> CutLayersOf(const MethodConfig& config, const ModelShape& shape) {
  if (!config.propagation.layers.empty()) return config.propagation.layers;
  if (config.propagation.rule == "promptdistill") return {ScaledLayer(kPromptDistillLayer, shape)};
  std::vector<int64_t> layers;
  for (int64_t layer = kBlockMassStep - 1; layer < shape.num_layers - kBlockMassStep;
       layer += kBlockMassStep) {
    if (layer >= shape.num_layers / 4 - 1) layers.push_back(layer);
  }
  if (layers.empty()) layers.push_back(std::max<int64_t>(0, shape.num_layers / 2 - 1));
  return layers;
}

Status CheckPropagation(const MethodConfig& config, const ModelShape& shape, int64_t layer) {
  const PropagationConfig& propagation = config.propagation;
  if (std::find(kNames.begin(), kNames.end(), propagation.rule) == kNames.end()) {
    std::string known;
    for (const char* name : kNames) known += (known.empty() ? "" : ", ") + std::string(name);
    return InvalidArgumentError("unknown propagation rule '" + propagation.rule +
                                "'; known rules: " + known);
  }
  FASTKV_RETURN_IF_ERROR(CheckLayers(propagation.layers, shape));
  if (propagation.rule == "schedule") return CheckSchedule(propagation);
  if (propagation.rule == "asl") return CheckRankAgreement(config, shape);
  if (propagation.rule == "claa") {
    const int64_t votes = VotesOf(config, layer);
    if (votes >= 1 && votes <= layer + 1) return OkStatus();
    return Wrong(
        "--tsp-votes", std::to_string(votes),
        "with TSP layer " + std::to_string(layer) + " give 1 to " + std::to_string(layer + 1));
  }
  if (propagation.rule == "uniprefill") return CheckBlockMass(propagation);
  FASTKV_RETURN_IF_ERROR(CheckShare(propagation.mass, "--tsp-mass"));
  FASTKV_RETURN_IF_ERROR(CheckShare(propagation.min_rate, "--tsp-min-rate"));
  if (!(propagation.entropy_factor > 0) || propagation.entropy_factor > kMaxEntropyFactor) {
    return Wrong("--tsp-entropy", std::to_string(propagation.entropy_factor),
                 "give a factor above 0 and at most 1000");
  }
  return OkStatus();
}

std::unique_ptr<PropagationRule> CreatePropagationRule(const MethodConfig& config,
                                                       const ModelShape& shape, int64_t layer) {
  const std::string& rule = config.propagation.rule;
  if (rule == "schedule") return CreateScheduleRule(config);
  if (rule == "asl") return CreateRankAgreementRule(config, shape);
  if (rule == "claa") return CreateLayerVotesRule(config, layer);
  if (rule == "mass" || rule == "entropy") return CreateAttentionMassRule(config, layer);
  if (rule == "uniprefill") return CreateBlockMassRule(config, shape);
  if (rule == "promptdistill") return CreateQuerySelectionRule(config, shape);
  return CreateTspRule(config, layer);
}

}  // namespace fastkv
