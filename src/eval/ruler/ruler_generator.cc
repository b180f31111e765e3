#include "eval/ruler/ruler_generator.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace fastkv {
namespace {

constexpr double kMinFill = 0.98;
constexpr int kMaxFitSteps = 40;
// Further draws for a sample that no number of units fits, or that has been made before.
constexpr int kMaxDrafts = 16;

// A seed for each sample and each of its drafts, unlike those of every other task and length.
uint64_t SeedOf(const RulerGeneratorParams& params, int64_t index, int draft) {
  uint64_t seed = params.seed;
  const auto mix = [&](uint64_t value) { seed = Random(seed ^ value).NextUint64(); };
  for (const char c : params.task) mix(static_cast<unsigned char>(c));
  mix(static_cast<uint64_t>(params.length_tokens));
  mix(static_cast<uint64_t>(index));
  mix(static_cast<uint64_t>(draft));
  return seed;
}

// A number of units and what it costs.
struct Measured {
  int64_t units = 0;
  int64_t tokens = 0;
};

// The cost per unit between two measurements, at least a fraction of a token.
// REQUIRES: a.units != b.units.
double Slope(const Measured& a, const Measured& b) {
  const auto units = static_cast<double>(b.units - a.units);
  return std::max(static_cast<double>(b.tokens - a.tokens) / units, 0.01);
}

// The greatest number of units that measures at most `max_tokens`, if cost grows with units, found
// by interpolation since cost is nearly linear. Stops early within `slack_tokens` of the aim.
// REQUIRES: least fits.
template <typename Measure>
Measured GreatestThatFits(Measured least, int64_t max_units, int64_t max_tokens,
                          int64_t slack_tokens, Measure measure) {
  Measured fits = least;
  Measured exceeds{max_units + 1, 0};  // tokens 0: not measured
  // A first step of moderate length: from the second on the cost of a unit is known.
  int64_t next = least.units + std::max<int64_t>((max_tokens - least.tokens) / 64, 1);
  for (int step = 0; step < kMaxFitSteps && fits.units + 1 < exceeds.units; ++step) {
    next = std::clamp(next, fits.units + 1, exceeds.units - 1);
    const Measured measured{next, measure(next)};
    if (measured.tokens <= max_tokens) {
      fits = measured;
      if (max_tokens - fits.tokens <= slack_tokens) break;
    } else {
      exceeds = measured;
    }
    const double slope = Slope(fits, exceeds.tokens > 0 ? exceeds : least);
    next = fits.units + static_cast<int64_t>(static_cast<double>(max_tokens - fits.tokens) / slope);
  }
  return fits;
}

}  // namespace

Result<RulerGenerator> RulerGenerator::Create(RulerGeneratorParams params) {
  if (params.length_tokens < kMinRulerTokens) {
    return InvalidArgumentError("expected a length of at least " + std::to_string(kMinRulerTokens) +
                                " tokens, got " + std::to_string(params.length_tokens));
  }
  FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<RulerTask> task,
                          CreateRulerTask({.name = params.task,
                                           .length_tokens = params.length_tokens,
                                           .seed = params.seed,
                                           .count_tokens = params.count_tokens}));
  const int64_t tokens_to_generate = *RulerTokensToGenerate(params.task);
  return RulerGenerator(std::move(params), std::move(task), tokens_to_generate);
}

RulerGenerator::RulerGenerator(RulerGeneratorParams params, std::unique_ptr<RulerTask> task,
                               int64_t tokens_to_generate)
    : params_(std::move(params)), task_(std::move(task)), tokens_to_generate_(tokens_to_generate) {}

Result<RulerSample> RulerGenerator::FirstThatFits(int64_t index, int& draft) const {
  Status status = LimitError("the task has no more than " + std::to_string(index) +
                             " different samples; ask for fewer");
  while (draft < kMaxDrafts) {
    const Random random(SeedOf(params_, index, draft++));
    Result<RulerSample> sample = Fit(*task_->NewDraft(index, random));
    if (sample.ok()) {
      sample->index = index;
      return sample;
    }
    status = sample.status();
  }
  return status;
}

Result<RulerSample> RulerGenerator::Sample(int64_t index) const {
  int draft = 0;
  return FirstThatFits(index, draft);
}

Result<RulerSample> RulerGenerator::Next() {
  for (int draft = 0;;) {
    Result<RulerSample> sample = FirstThatFits(next_index_, draft);
    if (!sample.ok()) return sample;
    if (inputs_.contains(sample->input) || outputs_.contains(sample->outputs)) continue;
    inputs_.insert(sample->input);
    outputs_.insert(sample->outputs);
    ++next_index_;
    return sample;
  }
}

Result<RulerSample> RulerGenerator::Fit(RulerDraft& draft) const {
  const int64_t max_tokens = params_.length_tokens - tokens_to_generate_;
  const auto fill = static_cast<double>(params_.length_tokens) * kMinFill;
  const int64_t min_tokens = static_cast<int64_t>(std::ceil(fill)) - tokens_to_generate_;
  const auto measure = [&](int64_t units) { return CountPrompt(draft.Text(units)); };
  const Measured least{draft.min_units(), measure(draft.min_units())};
  const auto wrong = [&](int64_t tokens) {
    return LimitError("expected a " + params_.task + " prompt of " + std::to_string(min_tokens) +
                      " to " + std::to_string(max_tokens) + " tokens, but this tokenizer gives " +
                      std::to_string(tokens) + "; ask for another length");
  };
  if (least.tokens > max_tokens) return wrong(least.tokens);
  const int64_t slack_tokens = params_.length_tokens / 200;
  const Measured best =
      GreatestThatFits(least, draft.max_units(), max_tokens, slack_tokens, measure);
  if (best.tokens < min_tokens) return wrong(best.tokens);
  RulerText text = draft.Text(best.units);
  return RulerSample{.input = std::move(text.input),
                     .answer_prefix = std::move(text.answer_prefix),
                     .outputs = std::move(text.outputs),
                     .length_tokens = best.tokens + tokens_to_generate_};
}

int64_t RulerGenerator::CountPrompt(const RulerText& text) const {
  return params_.count_tokens(text.input + text.answer_prefix);
}

}  // namespace fastkv
