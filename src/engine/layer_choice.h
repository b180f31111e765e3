// From what cutting behind each layer did to each prompt to one layer. Pure functions.
#ifndef FASTKV_ENGINE_LAYER_CHOICE_H_
#define FASTKV_ENGINE_LAYER_CHOICE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "engine/output_difference.h"

namespace fastkv {

// What one cut did to one prompt: means over the positions that were compared.
struct CutEffect {
  OutputDifference output;
  // The share of the tokens selected behind this layer, the window aside, that the next layer would
  // select too; nothing where the next layer is the last, behind which nothing is selected.
  std::optional<double> overlap_with_next;
  double prefill_share = 1;  // operations of a prefill with this cut, as a share of a full one's
};

// Over the prompts.
struct PromptSpread {
  double mean = 0;
  // What nine in ten prompts are no worse than: the 90th percentile of a distance, the 10th of a
  // share, interpolated between the two prompts nearest to it.
  double nine_in_ten = 0;
};

struct LayerSummary {
  int64_t layer = 0;
  PromptSpread logits_distance;
  PromptSpread hidden_distance;
  PromptSpread kl_divergence;
  PromptSpread argmax_agreement;
  PromptSpread top10_overlap;
  std::optional<PromptSpread> overlap_with_next;
  double prefill_share = 1;  // mean
};

// One summary for each candidate. effects: [prompts][candidates], candidates from `first_layer` on.
// REQUIRES: at least one prompt.
std::vector<LayerSummary> SummarizeCuts(int64_t first_layer,
                                        std::span<const std::vector<CutEffect>> effects);

struct LayerChoice {
  int64_t layer = 0;
  double threshold = 0;      // tau
  bool is_fallback = false;  // no candidate came down to the threshold
};

// The first candidate whose mean logits distance d is at most tau. Without `threshold`,
// tau = d_min + 0.1 (d_max - d_min) over the candidates, the knee of the curve; with it, num_layers
// / 2 - 1 is taken where no candidate comes down to it. The distance is FastKV's (arXiv 2502.01068,
// its figure on the choice of the layer); the rule is ours. REQUIRES: curve is not empty,
// num_layers
// >= 2.
LayerChoice ChooseTspLayer(std::span<const LayerSummary> curve, std::optional<double> threshold,
                           int64_t num_layers);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_LAYER_CHOICE_H_
