// The specification of every operation: plain loops over host memory, double accumulation, each
// result rounded once to the type of its output. Slow on purpose.
#ifndef FASTKV_BACKEND_REFERENCE_REFERENCE_BACKEND_H_
#define FASTKV_BACKEND_REFERENCE_REFERENCE_BACKEND_H_

#include <memory>
#include <span>
#include <utility>

#include "backend/backend.h"

namespace fastkv::reference {

// The matrix in double precision, row by row: exact for every stored type. With int8 weights also
// what their integers stand for, which products are made with.
class ReferenceWeight final : public PackedWeight {
 public:
  // `factors` holds the values to multiply with; empty: `values` itself.
  ReferenceWeight(int64_t out_features, int64_t in_features, Buffer values, Buffer factors)
      : PackedWeight(out_features, in_features),
        values_(std::move(values)),
        factors_(std::move(factors)) {}
  int64_t num_bytes() const override { return values_.num_bytes(); }
  const double* Row(int64_t i) const {
    return static_cast<const double*>(values_.data()) + i * in_features();
  }
  const double* FactorRow(int64_t i) const {
    const Buffer& factors = factors_.data() != nullptr ? factors_ : values_;
    return static_cast<const double*>(factors.data()) + i * in_features();
  }

 private:
  Buffer values_;
  Buffer factors_;
};

class ReferenceBackend final : public Backend {
 public:
  // REQUIRES: each of `types` is f32 or bf16.
  ReferenceBackend(ComputeTypes types, Allocator& allocator);

  const BackendInfo& info() const override { return info_; }
  ComputeTypes types() const override { return types_; }
  TrackingAllocator& allocator() override { return allocator_; }
  Status CopyToDevice(void* device, const void* host, int64_t num_bytes) override;
  Status CopyToHost(void* host, const void* device, int64_t num_bytes) override;
  void Copy(void* to, const void* from, int64_t num_bytes) override;
  Status Synchronize() override { return OkStatus(); }
  Result<std::unique_ptr<PackedWeight>> PackWeight(std::span<const WeightView> parts) override;

  void EmbedTokens(const EmbedTokensParams& params) override;
  void RmsNorm(const RmsNormParams& params) override;
  void MatMul(const MatMulParams& params) override;
  void RopeTable(const RopeTableParams& params) override;
  void StoreQkv(const StoreQkvParams& params) override;
  void PrefillAttention(const PrefillAttentionParams& params) override;
  void CachedAttention(const CachedAttentionParams& params) override;
  void SiluMultiply(const SiluMultiplyParams& params) override;
  void WindowScores(const WindowScoresParams& params) override;
  void ColumnScores(const ColumnScoresParams& params) override;
  void QueryScores(const QueryScoresParams& params) override;
  void KeyNormScores(const KeyNormScoresParams& params) override;
  void KeyDiffScores(const KeyDiffScoresParams& params) override;
  void QueryMoments(const QueryMomentsParams& params) override;
  void ExpectedAttentionScores(const ExpectedAttentionScoresParams& params) override;
  void FillColumns(const FillColumnsParams& params) override;
  void PoolScores(const PoolScoresParams& params) override;
  void ReduceRows(const ReduceRowsParams& params) override;
  void SelectTopK(const SelectTopKParams& params) override;
  void GatherRows(const GatherRowsParams& params) override;
  void GatherKv(const GatherKvParams& params) override;
  void ArgMax(const ArgMaxParams& params) override;
  void TargetLogProbs(const TargetLogProbsParams& params) override;

 private:
  ComputeTypes types_;
  BackendInfo info_;
  TrackingAllocator allocator_;
};

}  // namespace fastkv::reference

#endif  // FASTKV_BACKEND_REFERENCE_REFERENCE_BACKEND_H_
