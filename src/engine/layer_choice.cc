#include "engine/layer_choice.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"

namespace fastkv {
namespace {

constexpr double kKneeShare = 0.1;

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

PromptSpread SpreadOf(const std::vector<double>& values, bool larger_is_worse) {
  double sum = 0;
  for (const double value : values) sum += value;
  return {.mean = sum / static_cast<double>(values.size()),
          .nine_in_ten = Quantile(values, larger_is_worse ? 0.9 : 0.1)};
}

}  // namespace

std::vector<LayerSummary> SummarizeCuts(int64_t first_layer,
                                        std::span<const std::vector<CutEffect>> effects) {
  FASTKV_CHECK(!effects.empty());
  std::vector<LayerSummary> summaries;
  for (size_t i = 0; i < effects[0].size(); ++i) {
    const auto spread = [&](double OutputDifference::*field, bool larger_is_worse) {
      std::vector<double> values;
      for (const std::vector<CutEffect>& of_prompt : effects) {
        values.push_back(of_prompt[i].output.*field);
      }
      return SpreadOf(values, larger_is_worse);
    };
    LayerSummary summary{.layer = first_layer + static_cast<int64_t>(i),
                         .logits_distance = spread(&OutputDifference::logits_distance, true),
                         .hidden_distance = spread(&OutputDifference::hidden_distance, true),
                         .kl_divergence = spread(&OutputDifference::kl_divergence, true),
                         .argmax_agreement = spread(&OutputDifference::argmax_agreement, false),
                         .top10_overlap = spread(&OutputDifference::top10_overlap, false),
                         .overlap_with_next = std::nullopt,
        .prefill_share = 0};
    std::vector<double> overlaps;
    for (const std::vector<CutEffect>& of_prompt : effects) {
      summary.prefill_share += of_prompt[i].prefill_share / static_cast<double>(effects.size());
      if (of_prompt[i].overlap_with_next) overlaps.push_back(*of_prompt[i].overlap_with_next);
    }
    if (!overlaps.empty()) summary.overlap_with_next = SpreadOf(overlaps, false);
    summaries.push_back(summary);
  }
  return summaries;
}

LayerChoice ChooseTspLayer(std::span<const LayerSummary> curve, std::optional<double> threshold,
                           int64_t num_layers) {
  FASTKV_CHECK(!curve.empty());
  FASTKV_CHECK_GE(num_layers, 2);
  const auto distance = [](const LayerSummary& layer) { return layer.logits_distance.mean; };
  double least = distance(curve[0]);
  double largest = least;
  for (const LayerSummary& layer : curve) {
    least = std::min(least, distance(layer));
    largest = std::max(largest, distance(layer));
  }
  LayerChoice choice;
  choice.threshold = threshold.value_or(least + kKneeShare * (largest - least));
  for (const LayerSummary& layer : curve) {
    if (distance(layer) <= choice.threshold) {
      choice.layer = layer.layer;
      return choice;
    }
  }
  choice.layer = num_layers / 2 - 1;
  choice.is_fallback = true;
  return choice;
}

}  // namespace fastkv
