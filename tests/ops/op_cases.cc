#include "tests/ops/op_cases.h"

#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {

std::vector<OpCase> ParityCases() {
  std::vector<OpCase> cases;
  AddMatMulCases(cases);
  AddRowCases(cases);
  AddRopeCases(cases);
  AddPrefillAttentionCases(cases);
  AddCachedAttentionCases(cases);
  AddInt8CachedAttentionCases(cases);
  AddColumnScoreCases(cases);
  AddLayerScoreCases(cases);
  AddSelectionCases(cases);
  AddGatherCases(cases);
  return cases;
}

std::vector<OpCase> BenchCases(int64_t num_tokens, int64_t kv_len, const MatMulBenchSizes& layer) {
  const BenchSizes sizes{.num_tokens = num_tokens, .kv_len = kv_len, .layer = layer};
  std::vector<OpCase> cases;
  AddMatMulBenchCases(sizes, cases);
  AddRowBenchCases(sizes, cases);
  AddRopeBenchCases(sizes, cases);
  AddPrefillAttentionBenchCases(sizes, cases);
  AddCachedAttentionBenchCases(sizes, cases);
  AddColumnScoreBenchCases(sizes, cases);
  AddLayerScoreBenchCases(sizes, cases);
  AddSelectionBenchCases(sizes, cases);
  AddGatherBenchCases(sizes, cases);
  return cases;
}

}  // namespace fastkv::op_cases
