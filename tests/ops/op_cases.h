// The shared case table: every operation at sizes that are easy to get wrong, and at sizes that
// matter for speed. Seeds are fixed; a case is the same on every machine.
#ifndef FASTKV_TESTS_OPS_OP_CASES_H_
#define FASTKV_TESTS_OPS_OP_CASES_H_

#include <vector>

#include "tests/ops/op_case.h"

namespace fastkv::op_cases {

// For comparing back ends: odd sizes, no rows, one row, ties, extreme values.
std::vector<OpCase> ParityCases();
// For measuring: the sizes of an 8-billion-parameter model (hidden 4096, 32 query and 8 KV heads of
// 128, MLP 14336) on blocks of `num_tokens` and caches of `kv_len`.
std::vector<OpCase> BenchCases(int64_t num_tokens, int64_t kv_len);

}  // namespace fastkv::op_cases

#endif  // FASTKV_TESTS_OPS_OP_CASES_H_
