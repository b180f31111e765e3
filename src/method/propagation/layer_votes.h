// One token score from several layers: what a token is worth in the best of them. Source: CLAA,
// read in https://github.com/BradMcDanel/kv-exps (the first author's working code of 2025-08);
// which of its parts the published method has could not be verified, so each is an option here.
//
//   Z_l[a,j] = (G_l[a,j] - mean_j G_l[a,:]) / (std_j G_l[a,:] + 1e-8)      divisor of std: n-w-1
//   S[j]     = max over the last E layers l and all KV heads a of Z_l[a,j]
//
// G is FastKV's pooled group score (docs/methods.md). With E = 1, heads added and no standard
// scores, S is FastKV's own.
#ifndef FASTKV_METHOD_PROPAGATION_LAYER_VOTES_H_
#define FASTKV_METHOD_PROPAGATION_LAYER_VOTES_H_

#include <cstdint>
#include <span>
#include <vector>

namespace fastkv {

struct LayerVotesOptions {
  bool standard_scores = true;  // Z in place of G
  bool add_heads = false;       // the sum over KV heads in place of the maximum
};

// S of one layer: [num_columns]. group_scores: [num_kv_heads, num_columns], row-major. The
// deviation of a single column is 0.
std::vector<double> LayerVote(std::span<const double> group_scores, int64_t num_kv_heads,
                              const LayerVotesOptions& options);

// The largest S so far. Not thread-safe.
class LayerVotes {
 public:
  // REQUIRES: the same number of scores in each layer.
  void Add(std::span<const double> layer_scores);
  // [num_columns]; empty before the first layer.
  std::span<const double> scores() const { return scores_; }

 private:
  std::vector<double> scores_;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_LAYER_VOTES_H_
