// The shared case table: every operation at sizes that are easy to get wrong, and at sizes that
// matter for speed. Seeds are fixed; a case is the same on every machine.
#ifndef FASTKV_TESTS_OPS_OP_CASES_H_
#define FASTKV_TESTS_OPS_OP_CASES_H_

#include <vector>

#include "tests/ops/op_case.h"

namespace fastkv::op_cases {

// For comparing back ends: odd sizes, no rows, one row, ties, extreme values.
std::vector<OpCase> ParityCases();
// The matrices of a layer: [qkv_size, hidden_size], [hidden_size, hidden_size],
// [2 intermediate_size, hidden_size] and [hidden_size, intermediate_size].
struct MatMulBenchSizes {
  int64_t hidden_size = 4096;
  int64_t qkv_size = 6144;
  int64_t intermediate_size = 14336;
};
// For measuring: the sizes of an 8-billion-parameter model (32 query and 8 KV heads of 128) on
// blocks of `num_tokens` and caches of `kv_len`; matrix products at those of `layer`.
std::vector<OpCase> BenchCases(int64_t num_tokens, int64_t kv_len,
                               const MatMulBenchSizes& layer = {});

}  // namespace fastkv::op_cases

#endif  // FASTKV_TESTS_OPS_OP_CASES_H_
