// A weight as the CPU back end multiplies it. Either the checkpoint's own memory, in its own type:
// tiles are widened while they are multiplied, which costs a percent or two of a long product and
// saves both the time and the memory of a converted copy. Or 8-bit integers, packed once.
#ifndef FASTKV_BACKEND_CPU_CPU_WEIGHT_H_
#define FASTKV_BACKEND_CPU_CPU_WEIGHT_H_

#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/weight_rows.h"
#include "tensor/buffer.h"
#include "tensor/weight_view.h"

namespace fastkv::cpu {

// Immutable.
class CpuWeight final : public PackedWeight {
 public:
  // Rows [begin, begin + rows.num_rows) of the weight. A part has one format.
  struct Part {
    WeightRows rows;
    int64_t begin = 0;
  };

  // As Backend::PackWeight. `type`: kAuto keeps the parts where they are, kInt8 takes memory from
  // `allocator` and fills it on the context's threads. Errors: kMemory.
  static Result<std::unique_ptr<CpuWeight>> Pack(const Context& context,
                                                 std::span<const WeightView> parts, WeightType type,
                                                 Allocator& allocator);

  int64_t num_bytes() const override;
  const std::vector<Part>& parts() const { return parts_; }

  // A row as it was given to Pack, whatever it was packed into: [in_features].
  void DecodeSourceRow(int64_t row, float* out) const;

 private:
  using PackedWeight::PackedWeight;
  Status PackInt8(const Context& context, Allocator& allocator);

  std::vector<WeightView> sources_;
  std::vector<Part> parts_;
  Buffer packed_;  // rows and scales of kInt8
};

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_CPU_WEIGHT_H_
