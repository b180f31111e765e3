#include "method/propagation/block_mass.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "base/check.h"
#include "method/propagation/ranking.h"

namespace fastkv {

std::vector<double> BlockShares(std::span<const double> scores, int64_t block_tokens) {
  FASTKV_CHECK_GE(block_tokens, 1);
  const int64_t num_tokens = std::ssize(scores);
  std::vector<double> shares;
  double total = 0;
  for (int64_t begin = 0; begin < num_tokens; begin += block_tokens) {
    double sum = 0;
    for (int64_t j = begin; j < std::min(num_tokens, begin + block_tokens); ++j) sum += scores[j];
    shares.push_back(sum);
    total += sum;
  }
  for (double& share : shares) share = total == 0 ? 0 : share / total;
  return shares;
}

std::vector<int32_t> BlocksHoldingMass(std::span<const double> shares, double mass) {
  std::vector<int32_t> kept(shares.size());
  std::iota(kept.begin(), kept.end(), 0);
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (mass >= 1 || total == 0 || std::isnan(total)) return kept;
  const std::vector<int32_t> order = DescendingOrder(shares);
  double before = 0;
  size_t count = 0;
  while (count < order.size() && before <= mass) {
    before += shares[order[count]];
    ++count;
  }
  kept.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(kept.begin(), kept.end());
  return kept;
}

std::vector<int32_t> SelectByBlockMass(std::span<const double> scores,
                                       const BlockMassOptions& options) {
  const int64_t num_tokens = std::ssize(scores);
  std::vector<int32_t> tokens(scores.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  if (num_tokens <= options.sinks + options.window) return tokens;
  const int64_t window_begin = num_tokens - options.window;
  std::vector<double> measured(scores.begin(), scores.end());
  if (options.past_only) {
    std::fill(measured.begin(), measured.begin() + options.sinks, 0);
    std::fill(measured.begin() + window_begin, measured.end(), 0);
  }
  const std::vector<int32_t> blocks =
      BlocksHoldingMass(BlockShares(measured, options.block_tokens), options.mass);
  std::vector<bool> is_kept(scores.size());
  std::fill(is_kept.begin(), is_kept.begin() + options.sinks, true);
  std::fill(is_kept.begin() + window_begin, is_kept.end(), true);
  for (const int32_t block : blocks) {
    const int64_t begin = block * options.block_tokens;
    std::fill(is_kept.begin() + begin,
              is_kept.begin() + std::min(num_tokens, begin + options.block_tokens), true);
  }
  std::erase_if(tokens, [&](int32_t token) { return !is_kept[token]; });
  return tokens;
}

}  // namespace fastkv
