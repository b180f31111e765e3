#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace fastkv {
namespace {

Status OutOfRange(const char* name, double value, const char* allowed) {
  return InvalidArgumentError(std::string(name) + " is " + std::to_string(value) + "; give " +
                              allowed);
}

}  // namespace

Status CheckSamplingOptions(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    return OutOfRange("--temperature", options.temperature, "0 (greedy) or more");
  }
  if (options.top_k < 0) {
    return OutOfRange("--top-k", static_cast<double>(options.top_k), "0 (off) or more");
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return OutOfRange("--top-p", options.top_p, "a share above 0 and at most 1");
  }
  if (!(options.min_p >= 0 && options.min_p < 1)) {
    return OutOfRange("--min-p", options.min_p, "a share of at least 0 and below 1");
  }
  if (!(options.repetition_penalty > 0) || std::isinf(options.repetition_penalty)) {
    return OutOfRange("--repeat-penalty", options.repetition_penalty, "a number above 0");
  }
  return OkStatus();
}

Result<Sampler> Sampler::Create(Backend& backend, const SamplingOptions& options,
                                int64_t vocab_size, std::span<const int32_t> prompt_ids) {
  FASTKV_RETURN_IF_ERROR(CheckSamplingOptions(options));
  Sampler sampler(backend, options);
  FASTKV_ASSIGN_OR_RETURN(sampler.choice_, backend.Allocate(4, "the chosen token"));
  if (options.repetition_penalty != 1) {
    sampler.seen_.assign(vocab_size, 0);
    for (int32_t id : prompt_ids) sampler.seen_[id] = 1;
  }
  return sampler;
}

Result<int32_t> Sampler::Next(ConstTensorView logits) {
  if (options_.temperature == 0 && options_.repetition_penalty == 1) {
    return Greedy(*backend_, logits, choice_);
  }
  std::vector<float> host(logits.num_elements());
  FASTKV_RETURN_IF_ERROR(
      backend_->CopyToHost(host.data(), logits.data(), static_cast<int64_t>(host.size()) * 4));
  for (float logit : host) {
    if (std::isnan(logit) || logit == INFINITY) {
      return NumericError("the model's output holds NaN or infinity; this request cannot go on");
    }
  }
  ApplyRepetitionPenalty(host);
  const int32_t choice =
      options_.temperature == 0
          ? static_cast<int32_t>(std::max_element(host.begin(), host.end()) - host.begin())
          : Draw(host);
  if (!seen_.empty()) seen_[choice] = 1;
  return choice;
}

Result<int32_t> Sampler::Greedy(Backend& backend, ConstTensorView logits, const Buffer& choice) {
  backend.ArgMax({.logits = logits, .out = choice.View(DType::kI32, {1})});
  int32_t id = -1;
  FASTKV_RETURN_IF_ERROR(backend.CopyToHost(&id, choice.data(), 4));
  if (id < 0) {
    return NumericError("the model's output holds NaN or infinity; this request cannot go on");
  }
  return id;
}

void Sampler::ApplyRepetitionPenalty(std::vector<float>& logits) const {
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i] != 0) logits[i] = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty;
  }
}

int32_t Sampler::Draw(const std::vector<float>& logits) {
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto before = [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  auto count = static_cast<int64_t>(order_.size());
  if (options_.top_k > 0 && options_.top_k < count) {
    count = options_.top_k;
    std::partial_sort(order_.begin(), order_.begin() + count, order_.end(), before);
  } else {
    std::sort(order_.begin(), order_.end(), before);
  }
  const double largest = logits[order_[0]];
  std::vector<double> weights(count);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    weights[i] = std::exp((logits[order_[i]] - largest) / options_.temperature);
    sum += weights[i];
  }
  // top-p keeps the smallest set that reaches the share; min-p drops what is far below the best.
  double kept = 0;
  int64_t num_kept = 0;
  while (num_kept < count &&
         (num_kept == 0 || (kept < options_.top_p * sum && weights[num_kept] >= options_.min_p))) {
    kept += weights[num_kept++];
  }
  double target = random_.NextDouble() * kept;
  for (int64_t i = 0; i < num_kept; ++i) {
    target -= weights[i];
    if (target < 0) return order_[i];
  }
  return order_[num_kept - 1];
}

}  // namespace fastkv
