#include "method/prefill_plan.h"

#include "base/check.h"

namespace fastkv {

Observation operator|(const Observation& a, const Observation& b) {
  Observation both = a;
  both.query_rows = std::max(a.query_rows, b.query_rows);
  both.key_scores = a.key_scores || b.key_scores;
  for (const ColumnSums& sums : b.column_sums) {
    if (std::find(a.column_sums.begin(), a.column_sums.end(), sums) == a.column_sums.end()) {
      both.column_sums.push_back(sums);
    }
  }
  if (b.query_moments) {
    if (a.query_moments) FASTKV_CHECK_EQ(a.moments_first_row, b.moments_first_row);
    both.query_moments = true;
    both.moments_first_row = b.moments_first_row;
  }
  return both;
}

}  // namespace fastkv
