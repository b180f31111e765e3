// A device and its operations. The engine, the model and the methods see this interface alone; only
// the folders below backend/ know what is behind it.
#ifndef FASTKV_BACKEND_BACKEND_H_
#define FASTKV_BACKEND_BACKEND_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/ops.h"
#include "base/allocator.h"
#include "base/status.h"
#include "tensor/buffer.h"
#include "tensor/weight_view.h"

namespace fastkv {

// A weight matrix in the layout a back end multiplies fastest. Made by Backend::PackWeight;
// immutable.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
  int64_t out_features() const { return out_features_; }
  int64_t in_features() const { return in_features_; }
  // Bytes that one pass over the weight reads.
  virtual int64_t num_bytes() const = 0;

 protected:
  PackedWeight(int64_t out_features, int64_t in_features)
      : out_features_(out_features), in_features_(in_features) {}

 private:
  int64_t out_features_;
  int64_t in_features_;
};

// What the matrices of a model are multiplied as.
enum class WeightType {
  kAuto,  // what the back end multiplies fastest without rounding: docs/numerics.md, "Types"
  // Integers of 8 bits with one float32 scale a row (output): scale = max|w| / 127, integers
  // w * (127 / max|w|) to nearest, ties to even, all in float32. Rows below 2^-120 become 0.
  kInt8,
};

// What the entries that a prompt leaves in the cache are kept as. Keys and values are computed in,
// and those of later tokens kept as, ComputeTypes::kv.
enum class KvType {
  kAuto,  // as they are computed
  // The type that they must be computed in.
  kF32,
  kBF16,
  // Integers of 8 bits with one float32 scale for each entry, KV head, and key or value, as the
  // rows of WeightType::kInt8.
  kInt8,
};

// The element types a back end was created with.
struct ComputeTypes {
  DType activation = DType::kF32;  // inputs of matrix products, queries, attention outputs
  DType kv = DType::kF32;          // computed keys and values
  WeightType weights = WeightType::kAuto;
  KvType frozen_kv = KvType::kAuto;

  bool has_int8_kv() const { return frozen_kv == KvType::kInt8; }
  DType frozen_dtype() const { return has_int8_kv() ? DType::kI8 : kv; }
};

// What a back end is and where it runs, for reports.
struct BackendInfo {
  std::string name;         // "cpu", "cuda:0", "reference"
  std::string description;  // "AVX-512-BF16, 2 threads", "NVIDIA H100 80GB HBM3"
  int num_threads = 1;
  // Prefill hands over blocks of about this much work, at most this many tokens: large enough for
  // full speed, small enough to cancel soon and to keep activations small.
  double block_flops = 6e10;
  int64_t max_block_tokens = 1024;
};

// What a device reaches at most, measured: the yardsticks beside every speed. 0: not measured.
struct DeviceCeilings {
  DType matrix_type = DType::kF32;  // that the products below were computed in
  double matrix_flops_per_s = 0;    // one large product; a multiply-add counts two
  double read_bytes_per_s = 0;      // reads of memory far larger than any cache
  double copy_bytes_per_s = 0;      // bytes read plus bytes written by a copy
  // PrefillAttention of 8192 causal rows; half the square is counted.
  double attention_flops_per_s = 0;
};

// Operations only enqueue work; Synchronize() is the only wait, and reports what went wrong since
// the last one (kDevice). On the CPU every operation is complete when it returns. Operations abort
// on broken preconditions (shapes, types); they never fail for anything input can cause, since
// memory is taken beforehand through Allocate.
//
// One thread uses a back end at a time.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const BackendInfo& info() const = 0;
  virtual ComputeTypes types() const = 0;

  // Device memory; counted. Contents are undefined. Errors: kMemory naming `purpose`.
  virtual TrackingAllocator& allocator() = 0;
  Result<Buffer> Allocate(int64_t num_bytes, const char* purpose) {
    return Buffer::Allocate(allocator(), num_bytes, purpose);
  }

  // Copies between host and device memory; complete on return.
  virtual Status CopyToDevice(void* device, const void* host, int64_t num_bytes) = 0;
  virtual Status CopyToHost(void* host, const void* device, int64_t num_bytes) = 0;
  // Device to device, in stream order. The ranges do not overlap.
  virtual void Copy(void* to, const void* from, int64_t num_bytes) = 0;
  virtual Status Synchronize() = 0;

  // Measures for about `duration_ms` a ceiling, each at least once. Matrix products and reads are
  // those of a vendor's library and of a plain loop where there is one, so that they judge the
  // operations from outside. Errors: kMemory, kDevice, kUnsupported (a back end without ceilings).
  virtual Result<DeviceCeilings> MeasureCeilings(double duration_ms);

  // Packs host matrices of equal in_features, one below the other, into one weight. Each part is
  // [out_features, in_features] in any stored type and may be memory-mapped; it must stay alive
  // and unchanged as long as the packed weight. Errors: kMemory, kDevice.
  // EmbedTokens gives the rows as they are here, whatever the weight type.
  virtual Result<std::unique_ptr<PackedWeight>> PackWeight(std::span<const WeightView> parts) = 0;
  // The same for one matrix that only EmbedTokens will read: takes no other memory for products.
  virtual Result<std::unique_ptr<PackedWeight>> PackTable(const WeightView& table) {
    return PackWeight({&table, 1});
  }

  virtual void EmbedTokens(const EmbedTokensParams& params) = 0;
  virtual void RmsNorm(const RmsNormParams& params) = 0;
  virtual void MatMul(const MatMulParams& params) = 0;
  virtual void RopeTable(const RopeTableParams& params) = 0;
  virtual void StoreQkv(const StoreQkvParams& params) = 0;
  virtual void PrefillAttention(const PrefillAttentionParams& params) = 0;
  virtual void CachedAttention(const CachedAttentionParams& params) = 0;
  virtual void SiluMultiply(const SiluMultiplyParams& params) = 0;
  virtual void WindowScores(const WindowScoresParams& params) = 0;
  virtual void ColumnScores(const ColumnScoresParams& params) = 0;
  virtual void QueryScores(const QueryScoresParams& params) = 0;
  virtual void KeyNormScores(const KeyNormScoresParams& params) = 0;
  virtual void KeyDiffScores(const KeyDiffScoresParams& params) = 0;
  virtual void QueryMoments(const QueryMomentsParams& params) = 0;
  virtual void ExpectedAttentionScores(const ExpectedAttentionScoresParams& params) = 0;
  virtual void FillColumns(const FillColumnsParams& params) = 0;
  virtual void PoolScores(const PoolScoresParams& params) = 0;
  virtual void ReduceRows(const ReduceRowsParams& params) = 0;
  virtual void SelectTopK(const SelectTopKParams& params) = 0;
  virtual void GatherRows(const GatherRowsParams& params) = 0;
  virtual void GatherKv(const GatherKvParams& params) = 0;
  virtual void ArgMax(const ArgMaxParams& params) = 0;
  virtual void TargetLogProbs(const TargetLogProbsParams& params) = 0;
};

inline Result<DeviceCeilings> Backend::MeasureCeilings(double /*duration_ms*/) {
  return UnsupportedError("the " + info().name + " back end has no ceilings to measure");
}

// The arithmetic type of matrix products that the user asked for.
enum class ComputeType { kAuto, kF32, kBF16 };

struct CpuOptions {
  int num_threads = 0;  // 0: DefaultNumThreads()
  ComputeType compute_type =
      ComputeType::kAuto;  // auto: bf16 where the CPU multiplies it natively, else f32
  WeightType weight_type = WeightType::kAuto;  // auto: as in the checkpoint, where they are mapped
  KvType kv_type = KvType::kAuto;
  Allocator* allocator = nullptr;  // nullptr: SystemAllocator(); must outlive the back end
};

struct CudaOptions {
  int device_index = 0;
  ComputeType compute_type = ComputeType::kAuto;  // auto: bf16
};

// Plain loops with double accumulation; types() as given.
std::unique_ptr<Backend> CreateReferenceBackend(ComputeTypes types, Allocator* allocator = nullptr);
Result<std::unique_ptr<Backend>> CreateCpuBackend(const CpuOptions& options);
// Errors: kUnsupported where this build has no CUDA back end; kDevice: no driver, no such device,
// device too old; each says what to do.
Result<std::unique_ptr<Backend>> CreateCudaBackend(const CudaOptions& options);
// The names of the CUDA devices that can be used, in device order; empty where there are none.
std::vector<std::string> ListCudaDevices();

}  // namespace fastkv

#endif  // FASTKV_BACKEND_BACKEND_H_
