// The flags that say how tokens are drawn.
#ifndef FASTKV_APPS_SAMPLING_FLAGS_H_
#define FASTKV_APPS_SAMPLING_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

#include "base/status.h"
#include "engine/sampler.h"
#include "model/generation_config.h"

namespace fastkv {

struct SamplingFlags {
  std::optional<double> temperature;
  std::optional<int64_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<uint64_t> seed;
};

void AddSamplingFlags(CLI::App& command, SamplingFlags& flags);

// The user's flags over the model's own wishes; greedy where neither asks for sampling, and a
// random seed where none is given. Errors: those of CheckSamplingOptions.
Result<SamplingOptions> SamplingOf(const SamplingFlags& flags, const GenerationConfig& config);

// One line on standard error where tokens are drawn and the seed was not given, or `always`.
void ShowSampling(const SamplingOptions& sampling, const SamplingFlags& flags, bool always);

}  // namespace fastkv

#endif  // FASTKV_APPS_SAMPLING_FLAGS_H_
