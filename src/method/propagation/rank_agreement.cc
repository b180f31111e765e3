#include "method/propagation/rank_agreement.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/check.h"
#include "method/propagation/ranking.h"

namespace fastkv {

std::vector<int32_t> RankUnion(std::span<const std::vector<int32_t>> ranks, int64_t count) {
  std::vector<int32_t> members;
  if (ranks.empty()) return members;
  for (size_t token = 0; token < ranks[0].size(); ++token) {
    const auto is_among_best = [&](const std::vector<int32_t>& of_layer) {
      return of_layer[token] <= count;
    };
    if (std::any_of(ranks.begin(), ranks.end(), is_among_best)) {
      members.push_back(static_cast<int32_t>(token));
    }
  }
  return members;
}

double UnionRankVariance(std::span<const std::vector<int32_t>> ranks, int64_t count) {
  const std::vector<int32_t> members = RankUnion(ranks, count);
  if (members.empty()) return 0;
  const auto num_layers = static_cast<double>(ranks.size());
  double sum = 0;
  for (const int32_t token : members) {
    double mean = 0;
    for (const std::vector<int32_t>& of_layer : ranks) mean += of_layer[token];
    mean /= num_layers;
    for (const std::vector<int32_t>& of_layer : ranks) {
      const double difference = of_layer[token] - mean;
      sum += difference * difference;
    }
  }
  return sum / (static_cast<double>(members.size()) * num_layers);
}

RankAgreement::RankAgreement(const RankAgreementOptions& options) : options_(options) {
  FASTKV_CHECK_GE(options_.num_layers, 1);
  FASTKV_CHECK_LE(options_.num_layers, options_.first_layer + 1);
}

bool RankAgreement::Observe(int64_t layer, std::span<const double> token_scores, int64_t count) {
  FASTKV_CHECK(Reads(layer));
  if (!ranks_.empty()) FASTKV_CHECK_EQ(ranks_.back().size(), token_scores.size());
  ranks_.push_back(DescendingRanks(token_scores));
  if (std::ssize(ranks_) > options_.num_layers) ranks_.pop_front();
  if (layer < options_.first_layer) return false;
  FASTKV_CHECK_EQ(std::ssize(ranks_), options_.num_layers);
  const std::vector<std::vector<int32_t>> layers(ranks_.begin(), ranks_.end());
  variance_ = UnionRankVariance(layers, std::min(count, std::ssize(token_scores)));
  if (layer == options_.first_layer) first_variance_ = variance_;
  if (first_variance_ == 0) {
    ratio_ = 0;
    return true;
  }
  ratio_ = variance_ / first_variance_;
  return ratio_ < options_.threshold;
}

}  // namespace fastkv
