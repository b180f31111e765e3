// The Backend interface over the free operations.
#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "backend/cpu/ceilings.h"
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
                            (num_threads == 1 ? " thread" : " threads") +
                            (types.weights == WeightType::kInt8 ? ", int8 weights" : "") +
                            (types.has_int8_kv() ? ", int8 KV" : ""),
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

  Result<DeviceCeilings> MeasureCeilings(double duration_ms) override {
    DeviceCeilings ceilings;
    // Where the processor has no bf16 products, bf16 is widened and multiplied as f32.
    const bool bf16 =
        types().activation == DType::kBF16 && SelectCpuLevel() >= CpuLevel::kAvx512Bf16;
    ceilings.matrix_type = bf16 ? DType::kBF16 : DType::kF32;
    const Result<double> products =
        MeasureMatrixFlopsPerSecond(ceilings.matrix_type, info_.num_threads, duration_ms);
    if (products.ok()) {
      ceilings.matrix_flops_per_s = *products;
    } else if (products.status().code() != StatusCode::kUnsupported) {
      return products.status();
    }
    FASTKV_ASSIGN_OR_RETURN(ceilings.read_bytes_per_s,
                            MeasureReadBytesPerSecond(info_.num_threads, duration_ms));
    return ceilings;
  }

  Result<std::unique_ptr<PackedWeight>> PackWeight(std::span<const WeightView> parts) override {
    return Pack(parts, types().weights);
  }
  Result<std::unique_ptr<PackedWeight>> PackTable(const WeightView& table) override {
    return Pack({&table, 1}, WeightType::kAuto);
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
  Result<std::unique_ptr<PackedWeight>> Pack(std::span<const WeightView> parts, WeightType type) {
    FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<CpuWeight> weight,
                            CpuWeight::Pack(*context_, parts, type, allocator_));
    FASTKV_RETURN_IF_ERROR(context_->ReserveInputs(weight->in_features(), allocator_));
    return std::unique_ptr<PackedWeight>(std::move(weight));
  }

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
      {.activation = type,
       .kv = type,
       .weights = options.weight_type,
       .frozen_kv = options.kv_type}));
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace fastkv
