#include "fastkv/sampling_flags.h"

#include <fmt/format.h>

#include <random>

namespace fastkv {

void AddSamplingFlags(CLI::App& command, SamplingFlags& flags) {
  command.add_option("--temperature,--temp", flags.temperature,
                     "0 takes the likeliest token [default: the model's]");
  command.add_option("--top-k", flags.top_k, "Draw from the k likeliest tokens; 0: off");
  command.add_option("--top-p", flags.top_p, "Draw from the smallest set with this probability");
  command.add_option("--min-p", flags.min_p, "Drop tokens below this share of the likeliest");
  command.add_option("--repeat-penalty,--repetition-penalty", flags.repetition_penalty,
                     "Make tokens that occurred less likely; 1: off");
  command.add_option("-s,--seed", flags.seed, "Seed of the draws [default: random, printed]")
      ->check(CLI::NonNegativeNumber);
}

Result<SamplingOptions> SamplingOf(const SamplingFlags& flags, const GenerationConfig& config) {
  SamplingOptions sampling;
  const bool sample = flags.temperature.has_value() || config.do_sample;
  if (sample) sampling.temperature = flags.temperature.value_or(config.temperature);
  sampling.top_k = flags.top_k.value_or(config.do_sample ? config.top_k : 0);
  sampling.top_p = flags.top_p.value_or(config.do_sample ? config.top_p : 1);
  sampling.min_p = flags.min_p.value_or(config.do_sample ? config.min_p : 0);
  sampling.repetition_penalty = flags.repetition_penalty.value_or(config.repetition_penalty);
  sampling.seed = flags.seed.has_value() ? *flags.seed : std::random_device()();
  FASTKV_RETURN_IF_ERROR(CheckSamplingOptions(sampling));
  return sampling;
}

void ShowSampling(const SamplingOptions& sampling, const SamplingFlags& flags, bool always) {
  if (sampling.temperature <= 0 || (flags.seed.has_value() && !always)) return;
  fmt::print(stderr, "sampling: temperature {}, top-k {}, top-p {}, min-p {}, seed {}\n",
             sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p, sampling.seed);
}

}  // namespace fastkv
