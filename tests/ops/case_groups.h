// The parts of the case table, by kind of operation.
#ifndef FASTKV_TESTS_OPS_CASE_GROUPS_H_
#define FASTKV_TESTS_OPS_CASE_GROUPS_H_

#include <vector>

#include "tests/ops/op_cases.h"

namespace fastkv::op_cases {

struct BenchSizes {
  int64_t num_tokens = 0;
  int64_t kv_len = 0;
  MatMulBenchSizes layer;
};

void AddMatMulCases(std::vector<OpCase>& cases);            // EmbedTokens, MatMul
void AddRowCases(std::vector<OpCase>& cases);               // RmsNorm, SiluMultiply, logits
void AddRopeCases(std::vector<OpCase>& cases);              // RopeTable, StoreQkv
void AddPrefillAttentionCases(std::vector<OpCase>& cases);  // and WindowScores
void AddCachedAttentionCases(std::vector<OpCase>& cases);
void AddInt8CachedAttentionCases(std::vector<OpCase>& cases);  // over a frozen part in integers
void AddColumnScoreCases(std::vector<OpCase>& cases);
void AddLayerScoreCases(std::vector<OpCase>& cases);  // of keys, of queries before rotation
void AddSelectionCases(std::vector<OpCase>& cases);   // filling, pooling, reduction, top-k
void AddGatherCases(std::vector<OpCase>& cases);

void AddMatMulBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddRowBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddRopeBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddPrefillAttentionBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddCachedAttentionBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddColumnScoreBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddLayerScoreBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddSelectionBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);
void AddGatherBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases);

}  // namespace fastkv::op_cases

#endif  // FASTKV_TESTS_OPS_CASE_GROUPS_H_
