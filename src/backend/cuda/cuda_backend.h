// The back end for NVIDIA GPUs of compute capability 8.0 and up.
#ifndef FASTKV_BACKEND_CUDA_CUDA_BACKEND_H_
#define FASTKV_BACKEND_CUDA_CUDA_BACKEND_H_

#include <cuda_runtime_api.h>

#include <memory>
#include <span>

#include "backend/backend.h"
#include "backend/cuda/context.h"
#include "backend/cuda/cudnn_attention.h"
#include "backend/cuda/device_allocator.h"
#include "backend/cuda/mat_mul_engine.h"

namespace fastkv::cuda {

// [out_features, in_features] in the back end's type, as stored: what cuBLASLt and MatVec read.
class CudaWeight final : public PackedWeight {
 public:
  CudaWeight(int64_t out_features, int64_t in_features, DType dtype, Buffer values)
      : PackedWeight(out_features, in_features), dtype_(dtype), values_(std::move(values)) {}

  int64_t num_bytes() const override { return values_.num_bytes(); }
  ConstTensorView View() const { return values_.View(dtype_, {out_features(), in_features()}); }

 private:
  const DType dtype_;
  const Buffer values_;
};

class CudaBackend final : public Backend {
 public:
  static Result<std::unique_ptr<CudaBackend>> Create(const CudaOptions& options);
  ~CudaBackend() override;

  const BackendInfo& info() const override { return info_; }
  ComputeTypes types() const override { return {context_.type, context_.type}; }
  TrackingAllocator& allocator() override { return allocator_; }

  Status CopyToDevice(void* device, const void* host, int64_t num_bytes) override;
  Status CopyToHost(void* host, const void* device, int64_t num_bytes) override;
  void Copy(void* to, const void* from, int64_t num_bytes) override;
  Status Synchronize() override;
  Result<DeviceCeilings> MeasureCeilings(double duration_ms) override;
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
  explicit CudaBackend(int device);
  Status Initialize(const CudaOptions& options);
  // The current device belongs to the thread; a caller may have moved to another one.
  void MakeCurrent() const;

  const int device_;
  BackendInfo info_;
  DeviceAllocator device_allocator_;
  TrackingAllocator allocator_;
  Context context_;
  Buffer scratch_;
  Buffer counters_;
  std::unique_ptr<MatMulEngine> mat_mul_;
  std::unique_ptr<CudnnAttention> cudnn_;  // or null
};

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_CUDA_BACKEND_H_
