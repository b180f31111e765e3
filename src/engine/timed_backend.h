// A back end that says where the time goes: it forwards everything to another one and adds up the
// time of each operation. Waiting for the device after every operation makes a run slower than it
// is, so a breakdown is a run of its own and never the one whose speed is reported.
#ifndef FASTKV_ENGINE_TIMED_BACKEND_H_
#define FASTKV_ENGINE_TIMED_BACKEND_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"
#include "base/clock.h"
#include "model/decoder_model.h"

namespace fastkv {

struct OperationTime {
  std::string operation;  // "PrefillAttention"; products with the weight's name, "MatMul down"
  int64_t calls = 0;
  double ms = 0;  // of all calls
};

// One thread uses it at a time. The inner back end, the model and the clock must outlive it, and it
// what was made through it (caches, decoders).
class TimedBackend final : public Backend {
 public:
  // `model` is packed by `inner` and gives the products their names.
  TimedBackend(Backend& inner, const DecoderModel& model, const Clock& clock);

  // Since construction or the last Reset, the longest first.
  std::vector<OperationTime> Times() const;
  void Reset() { times_.clear(); }

  const BackendInfo& info() const override { return inner_.info(); }
  ComputeTypes types() const override { return inner_.types(); }
  TrackingAllocator& allocator() override { return inner_.allocator(); }
  Status CopyToDevice(void* device, const void* host, int64_t num_bytes) override;
  Status CopyToHost(void* host, const void* device, int64_t num_bytes) override;
  void Copy(void* to, const void* from, int64_t num_bytes) override;
  // With what an operation's own wait reported.
  Status Synchronize() override;
  Result<DeviceCeilings> MeasureCeilings(double duration_ms) override {
    return inner_.MeasureCeilings(duration_ms);
  }
  Result<std::unique_ptr<PackedWeight>> PackWeight(std::span<const WeightView> parts) override {
    return inner_.PackWeight(parts);
  }

  void MatMul(const MatMulParams& params) override;

#define FASTKV_TIMED_(Operation)                             \
  void Operation(const Operation##Params& params) override { \
    Time(#Operation, [&] { inner_.Operation(params); });     \
  }
  FASTKV_TIMED_(EmbedTokens)
  FASTKV_TIMED_(RmsNorm)
  FASTKV_TIMED_(RopeTable)
  FASTKV_TIMED_(StoreQkv)
  FASTKV_TIMED_(PrefillAttention)
  FASTKV_TIMED_(CachedAttention)
  FASTKV_TIMED_(SiluMultiply)
  FASTKV_TIMED_(WindowScores)
  FASTKV_TIMED_(ColumnScores)
  FASTKV_TIMED_(QueryScores)
  FASTKV_TIMED_(KeyNormScores)
  FASTKV_TIMED_(KeyDiffScores)
  FASTKV_TIMED_(QueryMoments)
  FASTKV_TIMED_(ExpectedAttentionScores)
  FASTKV_TIMED_(FillColumns)
  FASTKV_TIMED_(PoolScores)
  FASTKV_TIMED_(ReduceRows)
  FASTKV_TIMED_(SelectTopK)
  FASTKV_TIMED_(GatherRows)
  FASTKV_TIMED_(GatherKv)
  FASTKV_TIMED_(ArgMax)
  FASTKV_TIMED_(TargetLogProbs)
#undef FASTKV_TIMED_

 private:
  // Runs `enqueue`, waits for it, and adds the time to `operation`.
  template <typename Enqueue>
  void Time(const char* operation, Enqueue&& enqueue) {
    const double begin_ms = clock_.NowMs();
    enqueue();
    Wait();
    Add(operation, clock_.NowMs() - begin_ms);
  }
  void Wait();
  void Add(const char* operation, double ms);

  Backend& inner_;
  const Clock& clock_;
  std::unordered_map<const PackedWeight*, const char*> weight_names_;
  std::map<std::string, OperationTime, std::less<>> times_;
  Status failure_;  // the first that a wait of ours met, until Synchronize reports it
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_TIMED_BACKEND_H_
