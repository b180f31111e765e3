// Kept positions made into numbers that a picture can show.
#ifndef FASTKV_EVAL_SELECTION_DENSITY_H_
#define FASTKV_EVAL_SELECTION_DENSITY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/selection_page.h"

namespace fastkv {

// Shades of a share: 0 is nothing, kNumShades is (nearly) all.
inline constexpr int kNumShades = 5;
int ShadeOf(double share);

// Token positions cut into columns of equal width.
struct ColumnScale {
  int64_t num_tokens = 0;
  int64_t tokens_per_column = 1;
  int64_t num_columns = 0;

  // At most `max_columns` columns. REQUIRES: both positive.
  static ColumnScale For(int64_t num_tokens, int64_t max_columns);
  int64_t TokensIn(int64_t column) const;
  // Where a position lies along the whole width, 0 to 1.
  double ShareOfWidth(int64_t position) const;
};

// [num_columns]: of the (list, token) pairs in each column, the share that is listed.
std::vector<double> ColumnShares(const ColumnScale& scale,
                                 std::span<const std::vector<int32_t>> position_lists);

// [num_tokens] of tokens [window.first, window.end): how many of the lists hold each.
std::vector<int> CountLists(TokenSpan window, std::span<const std::vector<int32_t>> position_lists);

// SVG path data that fills the columns of one shade in a row: a stroke along y from run to run.
// Empty when no column has the shade.
std::string ShadePath(std::span<const int> shades, int shade, double y);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SELECTION_DENSITY_H_
