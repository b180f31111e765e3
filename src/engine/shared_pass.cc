#include "engine/shared_pass.h"

#include <algorithm>

#include "base/check.h"

namespace fastkv {
namespace {

bool IsSettled(const PrefillPlan& plan) {
  return plan.selection_pass.empty() && !plan.renumbers && !plan.falls_gradually &&
         !plan.eviction.has_value() &&
         std::none_of(plan.layers.begin(), plan.layers.end(),
                      [](const LayerPlan& layer) { return layer.cut_is_open; });
}

bool HaveSameTokens(const LayerPlan& a, const LayerPlan& b) {
  return a.tokens_in == b.tokens_in && a.tokens_out == b.tokens_out &&
         a.cut_tokens == b.cut_tokens && a.cut_point == b.cut_point;
}

// Moments are taken once, from one row on.
bool HaveSameMoments(const LayerPlan& a, const LayerPlan& b) {
  return !a.observation.query_moments || !b.observation.query_moments ||
         a.observation.moments_first_row == b.observation.moments_first_row;
}

}  // namespace

bool CanReadTogether(const PrefillPlan& a, const PrefillPlan& b) {
  return IsSettled(a) && IsSettled(b) && a.prompt_tokens == b.prompt_tokens &&
         a.protected_tokens == b.protected_tokens &&
         std::equal(a.layers.begin(), a.layers.end(), b.layers.begin(), b.layers.end(),
                    [](const LayerPlan& x, const LayerPlan& y) {
                      return HaveSameTokens(x, y) && HaveSameMoments(x, y);
                    });
}

PrefillPlan CommonPass(std::span<const PrefillPlan> plans) {
  FASTKV_CHECK(!plans.empty());
  PrefillPlan pass = plans.front();
  for (const PrefillPlan& plan : plans.subspan(1)) {
    for (size_t i = 0; i < pass.layers.size(); ++i) {
      LayerPlan& layer = pass.layers[i];
      layer.kv_len = std::max(layer.kv_len, plan.layers[i].kv_len);
      layer.unequal_heads = layer.unequal_heads || plan.layers[i].unequal_heads;
      layer.observation = layer.observation | plan.layers[i].observation;
    }
  }
  return pass;
}

}  // namespace fastkv
