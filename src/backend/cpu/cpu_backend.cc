// The Backend interface over the free operations.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/cpu_weight.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/vector_ops.h"
#include "base/check.h"
#include "base/parallel_for.h"

namespace fastkv {
namespace cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(Allocator& allocator) : allocator_(allocator) {}

  // Errors: kMemory.
  Status Initialize(CpuLevel level, int num_threads, ComputeTypes types) {
    FASTKV_ASSIGN_OR_RETURN(Context context,
                            Context::Create(level, num_threads, types, allocator_));
    context_ = std::make_unique<Context>(std::move(context));
    info_ = {.name = "cpu",
             .description = std::string(CpuLevelTitle(level)) + ", " + std::to_string(num_threads) +
                            (num_threads == 1 ? " thread" : " threads"),
             .num_threads = num_threads};
    return OkStatus();
  }

  const BackendInfo& info() const override { return info_; }
  ComputeTypes types() const override { return context_->types(); }
  TrackingAllocator& allocator() override { return allocator_; }

  Status CopyToDevice(void* device, const void* host, int64_t num_bytes) override {
    Copy(device, host, num_bytes);
    return OkStatus();
  }
  Status CopyToHost(void* host, const void* device, int64_t num_bytes) override {
    Copy(host, device, num_bytes);
    return OkStatus();
  }
  void Copy(void* to, const void* from, int64_t num_bytes) override {
    if (num_bytes > 0) std::memcpy(to, from, static_cast<size_t>(num_bytes));
  }
  Status Synchronize() override { return OkStatus(); }

  Result<std::unique_ptr<PackedWeight>> PackWeight(
      std::span<const ConstTensorView> parts) override {
    FASTKV_CHECK(!parts.empty());
    const int64_t in_features = parts[0].dim(1);
    int64_t out_features = 0;
    std::vector<CpuWeight::Part> placed;
    for (const ConstTensorView& part : parts) {
      FASTKV_CHECK_EQ(part.dim(1), in_features);
      if (part.dtype() != DType::kF32 && part.dtype() != DType::kBF16 &&
          part.dtype() != DType::kF16) {
        return UnsupportedError("expected weights in f32, bf16 or f16, but got " +
                                std::string(DTypeName(part.dtype())));
      }
      if (part.dim(0) == 0) continue;
      placed.push_back({.values = part, .begin = out_features});
      out_features += part.dim(0);
    }
    FASTKV_RETURN_IF_ERROR(context_->ReserveInputs(in_features, allocator_));
    return std::unique_ptr<PackedWeight>(
        std::make_unique<CpuWeight>(out_features, in_features, std::move(placed)));
  }

  void EmbedTokens(const EmbedTokensParams& params) override {
    cpu::EmbedTokens(*context_, params);
  }
  void RmsNorm(const RmsNormParams& params) override { cpu::RmsNorm(*context_, params); }
  void MatMul(const MatMulParams& params) override { cpu::MatMul(*context_, params); }
  void RopeTable(const RopeTableParams& params) override { cpu::RopeTable(*context_, params); }
  void StoreQkv(const StoreQkvParams& params) override { cpu::StoreQkv(*context_, params); }
  void PrefillAttention(const PrefillAttentionParams& params) override {
    cpu::PrefillAttention(*context_, params);
  }
  void CachedAttention(const CachedAttentionParams& params) override {
    cpu::CachedAttention(*context_, params);
  }
  void SiluMultiply(const SiluMultiplyParams& params) override {
    cpu::SiluMultiply(*context_, params);
  }
  void WindowScores(const WindowScoresParams& params) override {
    cpu::WindowScores(*context_, params);
  }
  void ColumnScores(const ColumnScoresParams& params) override {
    cpu::ColumnScores(*context_, params);
  }
  void QueryScores(const QueryScoresParams& params) override {
    cpu::QueryScores(*context_, params);
  }
  void KeyNormScores(const KeyNormScoresParams& params) override {
    cpu::KeyNormScores(*context_, params);
  }
  void KeyDiffScores(const KeyDiffScoresParams& params) override {
    cpu::KeyDiffScores(*context_, params);
  }
  void QueryMoments(const QueryMomentsParams& params) override {
    cpu::QueryMoments(*context_, params);
  }
  void ExpectedAttentionScores(const ExpectedAttentionScoresParams& params) override {
    cpu::ExpectedAttentionScores(*context_, params);
  }
  void FillColumns(const FillColumnsParams& params) override {
    cpu::FillColumns(*context_, params);
  }
  void PoolScores(const PoolScoresParams& params) override { cpu::PoolScores(*context_, params); }
  void ReduceRows(const ReduceRowsParams& params) override { cpu::ReduceRows(*context_, params); }
  void SelectTopK(const SelectTopKParams& params) override { cpu::SelectTopK(*context_, params); }
  void GatherRows(const GatherRowsParams& params) override { cpu::GatherRows(*context_, params); }
  void GatherKv(const GatherKvParams& params) override { cpu::GatherKv(*context_, params); }
  void ArgMax(const ArgMaxParams& params) override { cpu::ArgMax(*context_, params); }
  void TargetLogProbs(const TargetLogProbsParams& params) override {
    cpu::TargetLogProbs(*context_, params);
  }

 private:
  TrackingAllocator allocator_;
  BackendInfo info_;
  std::unique_ptr<Context> context_;
};

}  // namespace
}  // namespace cpu

Result<std::unique_ptr<Backend>> CreateCpuBackend(const CpuOptions& options) {
  const CpuLevel level = SelectCpuLevel();
  cpu::SetVectorLevel(level);
  const bool bf16 = options.compute_type == ComputeType::kBF16 ||
                    (options.compute_type == ComputeType::kAuto && level >= CpuLevel::kAvx512Bf16);
  const DType type = bf16 ? DType::kBF16 : DType::kF32;
  auto backend = std::make_unique<cpu::CpuBackend>(
      options.allocator != nullptr ? *options.allocator : SystemAllocator());
  FASTKV_RETURN_IF_ERROR(backend->Initialize(
      level, options.num_threads > 0 ? options.num_threads : DefaultNumThreads(),
      {.activation = type, .kv = type}));
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace fastkv
