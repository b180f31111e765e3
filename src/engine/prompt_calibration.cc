#include "engine/prompt_calibration.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

#include "engine/model_shape.h"
#include "engine/plan_cost.h"
#include "engine/prefill.h"

namespace fastkv {
namespace {

bool IsFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

std::span<const float> RowOf(const std::vector<float>& values, int64_t row, int64_t columns) {
  return std::span(values).subspan(static_cast<size_t>(row * columns),
                                   static_cast<size_t>(columns));
}

// The share of `tokens` before the window that `others` holds too; both ascending.
double OverlapBeforeWindow(std::span<const int32_t> tokens, std::span<const int32_t> others,
                           int64_t window) {
  const std::span<const int32_t> past = tokens.first(tokens.size() - static_cast<size_t>(window));
  if (past.empty()) return 1;
  std::vector<int32_t> common;
  std::set_intersection(past.begin(), past.end(), others.begin(), others.end(),
                        std::back_inserter(common));
  return static_cast<double>(common.size()) / static_cast<double>(past.size());
}

}  // namespace

PromptCalibration::PromptCalibration(const Engine& engine, const CalibrationPrompt& prompt,
                                     const CalibrationOptions& options,
                                     const CandidateLayers& candidates)
    : backend_(engine.backend()),
      model_(engine.model()),
      config_(engine.config()),
      options_(options),
      candidates_(candidates),
      num_prompt_tokens_(std::ssize(prompt.ids)),
      num_positions_(1 + std::ssize(prompt.continuation)),
      ids_(prompt.ids) {
  ids_.insert(ids_.end(), prompt.continuation.begin(), prompt.continuation.end());
  block_tokens_ = options.block_tokens > 0 ? options.block_tokens
                                           : DefaultBlockTokens(backend_.info(), config_);
  block_tokens_ = std::max(block_tokens_, num_positions_);
}

Result<PromptCalibration> PromptCalibration::Plan(const Engine& engine,
                                                  const CalibrationPrompt& prompt,
                                                  const CalibrationOptions& options,
                                                  const CandidateLayers& candidates) {
  FASTKV_RETURN_IF_ERROR(CheckPromptIds(prompt.ids, engine.config()));
  if (std::ssize(prompt.continuation) > kMaxContinuationTokens) {
    return InvalidArgumentError("the continuation has " +
                                std::to_string(prompt.continuation.size()) +
                                " tokens; give at most " + std::to_string(kMaxContinuationTokens));
  }
  PromptCalibration run(engine, prompt, options, candidates);
  FASTKV_RETURN_IF_ERROR(CheckPromptIds(run.ids_, engine.config()));
  FASTKV_RETURN_IF_ERROR(run.MakePlans());
  return run;
}

double PromptCalibration::PrefillShare(const PrefillPlan& plan) const {
  double full_flops = HeadFlops() / static_cast<double>(num_positions_);
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    const LayerPlan all{.tokens_in = num_prompt_tokens_};
    full_flops += LayerFlops(config_, all, layer, 0, num_prompt_tokens_, 1);
  }
  return PrefillFlops(config_, plan, /*last_layer_rows=*/1) / full_flops;
}

Status PromptCalibration::MakePlans() {
  // One layer more than there are candidates, for the overlap with the next.
  const int64_t last = std::min(candidates_.last + 1, config_.num_layers - 2);
  for (int64_t layer = candidates_.first; layer <= last; ++layer) {
    FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<Method> method,
                            CreateMethod({.name = "fastkv",
                                          .kv = Budget::Rate(1),
                                          .tsp = options_.tsp,
                                          .tsp_layer = layer,
                                          .window = options_.window,
                                          .kernel = options_.kernel,
                                          .pooling = options_.pooling},
                                         ShapeOf(config_)));
    FASTKV_ASSIGN_OR_RETURN(PrefillPlan plan, method->Plan(num_prompt_tokens_));
    if (!plan.layers[layer].cuts()) {
      return InvalidArgumentError("the prompt has " + std::to_string(num_prompt_tokens_) +
                                  " tokens, of which all would go on; give longer prompts, or "
                                  "propagate fewer tokens");
    }
    num_propagated_ = plan.layers[layer].tokens_out;
    methods_.push_back(std::move(method));
    plans_.push_back(std::move(plan));
  }
  return OkStatus();
}

bool PromptCalibration::Selects(int64_t layer) const {
  return layer >= candidates_.first && layer - candidates_.first < std::ssize(methods_);
}

double PromptCalibration::LayerFlopsOf(int64_t layer, int64_t num_tokens, int64_t begin,
                                       int64_t end) const {
  const LayerPlan plan{.tokens_in = num_tokens, .kv_len = num_tokens, .tokens_out = num_tokens};
  return LayerFlops(config_, plan, layer, begin, end, num_positions_);
}

double PromptCalibration::HeadFlops() const {
  return 2.0 * static_cast<double>(config_.hidden_size * config_.vocab_size) *
         static_cast<double>(num_positions_);
}

double PromptCalibration::TotalFlops() const {
  const int64_t num_tokens = std::ssize(ids_);
  double flops = HeadFlops();
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    flops += LayerFlopsOf(layer, num_tokens, 0, num_tokens);
  }
  for (int64_t cut = candidates_.first; cut <= candidates_.last; ++cut) {
    flops += HeadFlops();
    for (int64_t layer = cut + 1; layer < config_.num_layers; ++layer) {
      flops += LayerFlopsOf(layer, num_behind(), 0, num_behind());
    }
  }
  return flops;
}

Result<std::vector<CutEffect>> PromptCalibration::Run(std::function<void(double flops)> on_flops) {
  on_flops_ = std::move(on_flops);
  FASTKV_RETURN_IF_ERROR(AllocateMemory());
  FASTKV_RETURN_IF_ERROR(tokens_->Embed(ids_));
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
    FASTKV_RETURN_IF_ERROR(RunLayer(layer, *tokens_, Selects(layer)));
    if (Selects(layer)) FASTKV_RETURN_IF_ERROR(SelectBehind(layer));
    if (layer >= candidates_.first && layer <= candidates_.last) {
      FASTKV_ASSIGN_OR_RETURN(Output output, RunBehind(layer));
      outputs_.push_back(std::move(output));
    }
  }
  FASTKV_ASSIGN_OR_RETURN(const Output full, ReadOutput(*tokens_));
  return CompareWith(full);
}

Status PromptCalibration::AllocateMemory() {
  const int64_t num_tokens = std::ssize(ids_);
  FASTKV_ASSIGN_OR_RETURN(tokens_,
                          TokenStream::Allocate(backend_, model_, num_tokens, /*cut_tokens=*/0));
  FASTKV_ASSIGN_OR_RETURN(behind_,
                          TokenStream::Allocate(backend_, model_, num_behind(), /*cut_tokens=*/0));
  // All plans observe alike, each at its own layer.
  FASTKV_ASSIGN_OR_RETURN(recorder_, ObservationRecorder::Allocate(backend_, model_, plans_[0]));
  FASTKV_ASSIGN_OR_RETURN(workspace_, DecoderWorkspace::Allocate(
                                          backend_, config_, std::min(block_tokens_, num_tokens)));
  const int64_t kv_bytes =
      config_.num_kv_heads * num_tokens * config_.head_dim * DTypeBytes(backend_.types().kv);
  FASTKV_ASSIGN_OR_RETURN(keys_, backend_.Allocate(kv_bytes, "one layer's keys"));
  FASTKV_ASSIGN_OR_RETURN(values_, backend_.Allocate(kv_bytes, "one layer's values"));
  FASTKV_ASSIGN_OR_RETURN(indices_, backend_.Allocate(4 * num_behind(), "token indices"));
  FASTKV_ASSIGN_OR_RETURN(logits_,
                          backend_.Allocate(4 * num_positions_ * config_.vocab_size, "logits"));
  final_norm_.resize(static_cast<size_t>(config_.hidden_size));
  return backend_.CopyToHost(final_norm_.data(), model_.FinalNorm().data(),
                             4 * config_.hidden_size);
}

TensorView PromptCalibration::LayerKv(const Buffer& buffer, int64_t num_tokens) const {
  return buffer.View(backend_.types().kv, {config_.num_kv_heads, num_tokens, config_.head_dim});
}

int64_t PromptCalibration::FirstOutput(int64_t layer, int64_t num_tokens) const {
  return layer == config_.num_layers - 1 ? num_tokens - num_positions_ : 0;
}

Status PromptCalibration::RunLayer(int64_t layer, const TokenStream& tokens, bool is_observed) {
  const int64_t num_tokens = tokens.num_tokens();
  const int64_t first_output = FirstOutput(layer, num_tokens);
  if (is_observed) recorder_->BeginLayer(plans_[layer - candidates_.first].layers[layer], layer);
  for (int64_t begin = 0; begin < num_tokens;) {
    if (options_.cancel != nullptr && options_.cancel->cancelled()) {
      return CancelledError("cancelled during calibration");
    }
    int64_t end = std::min(num_tokens, begin + block_tokens_);
    if (begin < first_output) end = std::min(end, first_output);
    FASTKV_RETURN_IF_ERROR(RunBlock(layer, tokens, begin, end, is_observed));
    FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
    on_flops_(LayerFlopsOf(layer, num_tokens, begin, end));
    begin = end;
  }
  return OkStatus();
}

Status PromptCalibration::RunBlock(int64_t layer, const TokenStream& tokens, int64_t begin,
                                   int64_t end, bool is_observed) {
  const TensorView keys = LayerKv(keys_, tokens.num_tokens());
  const TensorView values = LayerKv(values_, tokens.num_tokens());
  const LayerBlock block{.layer = layer,
                         .hidden = tokens.Hidden().Rows(begin, end),
                         .cos_sin = tokens.CosSin().Rows(begin, end),
                         .keys = keys.Slice(1, begin, end),
                         .values = values.Slice(1, begin, end)};
  if (begin < FirstOutput(layer, tokens.num_tokens())) {
    StoreLastLayerKeysValues(backend_, model_, workspace_, block);
    return OkStatus();
  }
  const auto attend = [&](ConstTensorView queries, TensorView out) {
    // The window ends with the prompt; what stands behind it is not observed.
    const int64_t prompt_end = std::min(end, num_prompt_tokens_);
    if (is_observed && begin < prompt_end) {
      recorder_->RecordQueries(queries.Rows(0, prompt_end - begin), begin);
    }
    backend_.PrefillAttention({.q = queries,
                               .keys = keys.Slice(1, 0, end),
                               .values = values.Slice(1, 0, end),
                               .q_start = begin,
                               .scale = model_.attention_scale(),
                               .window = config_.sliding_window[layer],
                               .positions = tokens.positions(),
                               .out = out});
  };
  return RunDecoderLayer(backend_, model_, workspace_, block, attend, options_.cancel);
}

Status PromptCalibration::SelectBehind(int64_t layer) {
  const auto index = static_cast<size_t>(layer - candidates_.first);
  LayerInputs inputs = recorder_->Inputs();
  inputs.prompt_tokens = num_prompt_tokens_;
  inputs.keys = LayerKv(keys_, std::ssize(ids_)).Slice(1, 0, num_prompt_tokens_);
  inputs.values = LayerKv(values_, std::ssize(ids_)).Slice(1, 0, num_prompt_tokens_);
  inputs.positions = tokens_->positions();
  LayerObservation observation(backend_, recorder_->scratch(), inputs);
  const TensorView indices = indices_.View(DType::kI32, {num_behind()});
  Selection selection;
  selection.token_indices = indices.Rows(0, num_propagated_);
  FASTKV_RETURN_IF_ERROR(
      methods_[index]->NewSelector()->Select(plans_[index], layer, observation, selection));
  FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
  selected_.emplace_back(static_cast<size_t>(num_propagated_));
  FASTKV_RETURN_IF_ERROR(
      backend_.CopyToHost(selected_.back().data(), indices.data(), 4 * num_propagated_));
  std::vector<int32_t> continuation(static_cast<size_t>(num_positions_ - 1));
  std::iota(continuation.begin(), continuation.end(), static_cast<int32_t>(num_prompt_tokens_));
  if (continuation.empty()) return OkStatus();
  return backend_.CopyToDevice(indices.Rows(num_propagated_, num_behind()).data(),
                               continuation.data(), 4 * std::ssize(continuation));
}

Result<PromptCalibration::Output> PromptCalibration::RunBehind(int64_t cut) {
  FASTKV_RETURN_IF_ERROR(
      behind_->CopyFrom(*tokens_, static_cast<const int32_t*>(indices_.data()), num_behind()));
  for (int64_t layer = cut + 1; layer < config_.num_layers; ++layer) {
    FASTKV_RETURN_IF_ERROR(RunLayer(layer, *behind_, /*is_observed=*/false));
  }
  return ReadOutput(*behind_);
}

Result<PromptCalibration::Output> PromptCalibration::ReadOutput(const TokenStream& tokens) {
  const TensorView hidden =
      tokens.Hidden().Rows(tokens.num_tokens() - num_positions_, tokens.num_tokens());
  RunHead(backend_, model_, workspace_, hidden,
          logits_.View(DType::kF32, {num_positions_, config_.vocab_size}));
  FASTKV_RETURN_IF_ERROR(backend_.Synchronize());
  Output output;
  output.logits.resize(static_cast<size_t>(num_positions_ * config_.vocab_size));
  output.hidden.resize(static_cast<size_t>(num_positions_ * config_.hidden_size));
  FASTKV_RETURN_IF_ERROR(
      backend_.CopyToHost(output.logits.data(), logits_.data(), 4 * std::ssize(output.logits)));
  FASTKV_RETURN_IF_ERROR(
      backend_.CopyToHost(output.hidden.data(), hidden.data(), 4 * std::ssize(output.hidden)));
  if (!IsFinite(output.logits)) {
    return NumericError("the model's output is not finite; check its weights with fastkv doctor");
  }
  for (int64_t position = 0; position < num_positions_; ++position) {
    const auto row = std::span(output.hidden)
                         .subspan(static_cast<size_t>(position * config_.hidden_size),
                                  static_cast<size_t>(config_.hidden_size));
    ApplyRmsNorm(row, final_norm_, config_.rms_norm_eps);
  }
  on_flops_(HeadFlops());
  return output;
}

std::vector<CutEffect> PromptCalibration::CompareWith(const Output& full) const {
  std::vector<CutEffect> effects;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    std::vector<OutputDifference> at_position;
    for (int64_t position = 0; position < num_positions_; ++position) {
      at_position.push_back(CompareOutputs(RowOf(outputs_[i].logits, position, config_.vocab_size),
                                           RowOf(full.logits, position, config_.vocab_size),
                                           RowOf(outputs_[i].hidden, position, config_.hidden_size),
                                           RowOf(full.hidden, position, config_.hidden_size)));
    }
    CutEffect effect{.output = MeanDifference(at_position),
                     .overlap_with_next = std::nullopt,
                     .prefill_share = PrefillShare(plans_[i])};
    if (i + 1 < selected_.size()) {
      effect.overlap_with_next =
          OverlapBeforeWindow(selected_[i], selected_[i + 1], options_.window);
    }
    effects.push_back(effect);
  }
  return effects;
}

}  // namespace fastkv
