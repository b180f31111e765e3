// RULER's needles in a haystack: one or more sentences that give keys a value, in repeated noise,
// in prose, or among nothing but their like.
#ifndef FASTKV_EVAL_RULER_NIAH_H_
#define FASTKV_EVAL_RULER_NIAH_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "eval/ruler/ruler_task.h"

namespace fastkv {

struct NiahVariant {
  enum class Haystack { kNoise, kProse, kNeedles };

  std::string_view name;
  Haystack haystack;
  bool uuid_keys;    // else two words
  bool uuid_values;  // else 7 digits
  int64_t num_keys;  // beside those that make the haystack
  int64_t num_values;
  int64_t num_queries;
};

// One of the eight variants of scripts/synthetic.yaml.
std::optional<NiahVariant> NiahVariantOf(std::string_view task);

std::unique_ptr<RulerTask> CreateNiahTask(const NiahVariant& variant, int64_t length_tokens,
                                          uint64_t seed);

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_NIAH_H_
