// A weight as the CPU back end multiplies it: the checkpoint's own memory, in its own type. Tiles
// are expanded to f32 while they are multiplied, which costs a percent or two of a long product and
// saves both the time and the memory of a converted copy.
#ifndef FASTKV_BACKEND_CPU_CPU_WEIGHT_H_
#define FASTKV_BACKEND_CPU_CPU_WEIGHT_H_

#include <utility>
#include <vector>

#include "backend/backend.h"

namespace fastkv::cpu {

class CpuWeight final : public PackedWeight {
 public:
  // Rows [begin, begin + values.dim(0)) of the weight.
  struct Part {
    ConstTensorView values;  // [out_features, in_features]; f32, f16 or bf16
    int64_t begin = 0;
  };

  CpuWeight(int64_t out_features, int64_t in_features, std::vector<Part> parts)
      : PackedWeight(out_features, in_features), parts_(std::move(parts)) {}

  int64_t num_bytes() const override {
    int64_t sum = 0;
    for (const Part& part : parts_) {
      sum += part.values.num_elements() * DTypeBytes(part.values.dtype());
    }
    return sum;
  }
  const std::vector<Part>& parts() const { return parts_; }
  // The part that holds row `row`.
  const Part& PartOf(int64_t row) const {
    size_t i = 0;
    while (row >= parts_[i].begin + parts_[i].values.dim(0)) ++i;
    return parts_[i];
  }

 private:
  std::vector<Part> parts_;
};

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_CPU_WEIGHT_H_
