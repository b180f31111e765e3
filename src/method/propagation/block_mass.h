// Which blocks of tokens carry the attention of the last rows: repeated dropping of whole blocks.
// Source: UniPrefill, https://github.com/qhfan/UniPrefill (its fused kernel, code of 2026-05).
//
//   s[j]  sum over all heads and the last `window` rows of the attention probability of entry j,
//   for
//         all j < n, the window's own columns included
//   b[g]  sum of s over block g / sum of s over everything; blocks count from the first token
//
// Blocks are taken by descending b as long as the shares taken BEFORE a block sum to at most
// `mass`, so that the block that crosses the limit is kept, and the first always. The first `sinks`
// tokens and the last `window` are kept whatever their blocks are. Ties go to the lower block
// (ours).
#ifndef FASTKV_METHOD_PROPAGATION_BLOCK_MASS_H_
#define FASTKV_METHOD_PROPAGATION_BLOCK_MASS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace fastkv {

struct BlockMassOptions {
  int64_t block_tokens = 64;
  int64_t sinks = 128;   // tokens
  int64_t window = 128;  // tokens: the rows that s sums over
  double mass = 0.99;    // from 1 on everything is kept
  // Ours: measure the mass over the tokens between sinks and window alone. Those two carry much of
  // the attention and are kept anyway, so the same `mass` then drops less.
  bool past_only = false;
};

// b: [ceil(num_tokens / block_tokens)]; all 0 where the scores sum to nothing.
std::vector<double> BlockShares(std::span<const double> scores, int64_t block_tokens);

// The blocks that are kept for their mass, ascending. All of them where the shares are all 0 or a
// share is NaN: what cannot be ranked is not dropped.
std::vector<int32_t> BlocksHoldingMass(std::span<const double> shares, double mass);

// The tokens that go on, ascending. scores: s. All of them unless there are more than
// sinks + window.
std::vector<int32_t> SelectByBlockMass(std::span<const double> scores,
                                       const BlockMassOptions& options);

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_BLOCK_MASS_H_
