// Tokens chosen by the last query alone. Source: PromptDistill,
// https://github.com/declare-lab/PromptDistill (code of 2025-04).
//
//   e[j]   mean over the query heads of q[h,N-1] . k[h/g,j] / sqrt(head_dim): no softmax
//   then e[N-1] = 0, average pooling over all N entries (divisor always the kernel)
//   X = the k best of j < N-1, and N-1
#ifndef FASTKV_METHOD_PROPAGATION_QUERY_SELECTION_H_
#define FASTKV_METHOD_PROPAGATION_QUERY_SELECTION_H_

#include <cstdint>
#include <span>
#include <vector>

namespace fastkv {

// The pooled e: [num_tokens]. scores: e with its own last entry. REQUIRES: kernel is odd and at
// least 1.
std::vector<double> PooledQueryScores(std::span<const double> scores, int64_t kernel);

// X, ascending; everything where `count` + 1 tokens are not fewer than there are.
std::vector<int32_t> SelectByQuery(std::span<const double> scores, int64_t count, int64_t kernel);

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_QUERY_SELECTION_H_
