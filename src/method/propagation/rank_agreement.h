// Where to cut, chosen for each prompt: the layer behind which the order of the tokens has become
// stable over several layers. Source: ASL, https://github.com/TANIGUCHIREI/ASL (code of 2026-04);
// the names are ours.
//
//   R_l[j]  rank of token j by FastKV's token scores S_l at layer l, 1 the best
//   U_l     tokens that are among the k best in one of the E layers l-E+1 .. l
//   m[j]    mean over these layers of R_e[j]
//   V_l     mean over j in U_l and over these layers of (R_e[j] - m[j])^2
//
// The cut is made at the first layer l >= first_layer with V_l / V_first < threshold; the tokens
// that go on are the k best of that layer alone, and the window. V_first = 0 means that nothing
// moves any more, and cuts at first_layer (ours; the published code divides by zero).
#ifndef FASTKV_METHOD_PROPAGATION_RANK_AGREEMENT_H_
#define FASTKV_METHOD_PROPAGATION_RANK_AGREEMENT_H_

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace fastkv {

struct RankAgreementOptions {
  int64_t first_layer = 10;  // zero-based; the earliest cut is one later unless threshold > 1
  double threshold = 0.3;    // > 0 to cut at all
  int64_t num_layers = 8;    // E, in [1, first_layer + 1]
};

// U_l, ascending. `ranks`: one vector a layer, of equal sizes; `count` is k.
std::vector<int32_t> RankUnion(std::span<const std::vector<int32_t>> ranks, int64_t count);

// V_l, summed in double over ascending tokens, then layers; 0 for an empty union.
double UnionRankVariance(std::span<const std::vector<int32_t>> ranks, int64_t count);

// The statistic of one prompt, fed layer by layer. Not thread-safe.
class RankAgreement {
 public:
  explicit RankAgreement(const RankAgreementOptions& options);

  // Whether the statistic needs to see `layer`: those before are never read.
  bool Reads(int64_t layer) const { return layer > options_.first_layer - options_.num_layers; }

  // Takes the scores of the tokens before the window and says whether to cut behind this layer.
  // `count` is k, at most the number of scores is used. REQUIRES: every layer that Reads() once, in
  // ascending order, and the same number of scores in each.
  bool Observe(int64_t layer, std::span<const double> token_scores, int64_t count);

  // V_l and V_l / V_first of the last layer observed; 0 before first_layer. The ratio is 0 where
  // V_first is.
  double variance() const { return variance_; }
  double ratio() const { return ratio_; }

 private:
  RankAgreementOptions options_;
  std::deque<std::vector<int32_t>> ranks_;  // of the last num_layers layers
  double first_variance_ = 0;
  double variance_ = 0;
  double ratio_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_RANK_AGREEMENT_H_
