#include "eval/selection_density.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace fastkv {

int ShadeOf(double share) {
  constexpr double kUpTo[kNumShades] = {0.125, 0.25, 0.5, 0.75, 2.0};
  if (share <= 0) return 0;
  int shade = 1;
  while (share > kUpTo[shade - 1]) ++shade;
  return shade;
}

ColumnScale ColumnScale::For(int64_t num_tokens, int64_t max_columns) {
  FASTKV_CHECK_GT(num_tokens, 0);
  FASTKV_CHECK_GT(max_columns, 0);
  const int64_t per_column = (num_tokens + max_columns - 1) / max_columns;
  return {.num_tokens = num_tokens,
          .tokens_per_column = per_column,
          .num_columns = (num_tokens + per_column - 1) / per_column};
}

int64_t ColumnScale::TokensIn(int64_t column) const {
  return std::min(tokens_per_column, num_tokens - column * tokens_per_column);
}

double ColumnScale::ShareOfWidth(int64_t position) const {
  return static_cast<double>(position) / static_cast<double>(num_columns * tokens_per_column);
}

std::vector<double> ColumnShares(const ColumnScale& scale,
                                 std::span<const std::vector<int32_t>> position_lists) {
  std::vector<double> shares(static_cast<size_t>(scale.num_columns));
  for (const std::vector<int32_t>& positions : position_lists) {
    for (const int32_t position : positions) {
      FASTKV_CHECK_GE(position, 0);
      FASTKV_CHECK_LT(position, scale.num_tokens);
      shares[static_cast<size_t>(position / scale.tokens_per_column)] += 1;
    }
  }
  for (size_t column = 0; column < shares.size(); ++column) {
    shares[column] /= static_cast<double>(scale.TokensIn(static_cast<int64_t>(column))) *
                      static_cast<double>(std::max<size_t>(1, position_lists.size()));
  }
  return shares;
}

std::vector<int> CountLists(TokenSpan window,
                            std::span<const std::vector<int32_t>> position_lists) {
  std::vector<int> counts(static_cast<size_t>(window.end - window.first));
  for (const std::vector<int32_t>& positions : position_lists) {
    auto it = std::lower_bound(positions.begin(), positions.end(), window.first);
    for (; it != positions.end() && *it < window.end; ++it) {
      ++counts[static_cast<size_t>(*it - window.first)];
    }
  }
  return counts;
}

std::string ShadePath(std::span<const int> shades, int shade, double y) {
  std::string path;
  for (size_t begin = 0; begin < shades.size();) {
    size_t end = begin + 1;
    while (end < shades.size() && shades[end] == shades[begin]) ++end;
    if (shades[begin] == shade) path += fmt::format("M{} {}h{}", begin, y, end - begin);
    begin = end;
  }
  return path;
}

}  // namespace fastkv
