#include "method/query_agnostic.h"

#include <algorithm>

namespace fastkv {

bool IsQueryAgnostic(const PrefillPlan& plan) {
  const bool looks =
      std::any_of(plan.layers.begin(), plan.layers.end(), [](const LayerPlan& layer) {
        return layer.may_cut() || layer.observation.query_rows > 0 ||
               !layer.observation.column_sums.empty();
      });
  return !looks && plan.selection_pass.empty() && !plan.eviction;
}

}  // namespace fastkv
