// For tests: the layer of docs/methods.md, "A worked example", as a method sees it: 4 query heads,
// 2 KV heads, 24 tokens of head size 4, on the reference back end.
#ifndef FASTKV_METHOD_TOY_LAYER_H_
#define FASTKV_METHOD_TOY_LAYER_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "method/method.h"

namespace fastkv {

class ToyLayer {
 public:
  static constexpr int64_t kTokens = 24;
  static constexpr int64_t kHeadDim = 4;
  static constexpr float kScale = 0.5F;

  // What a method chose at layer 0.
  struct Selected {
    std::vector<std::vector<int32_t>> kept;  // [num_kv_heads]; empty where all are kept
    std::vector<int32_t> propagated;         // empty where no token is dropped
  };

  // With 4 KV heads every query head has its own, with the keys of the one it would share.
  explicit ToyLayer(int64_t num_kv_heads = 2)
      : backend_(CreateReferenceBackend({})),
        shape_{
            .num_layers = 2, .num_q_heads = 4, .num_kv_heads = num_kv_heads, .head_dim = kHeadDim} {
    for (int64_t i = 0; i < kTokens; ++i) {
      for (int64_t h = 0; h < shape_.num_q_heads; ++h) {
        for (int64_t c = 0; c < kHeadDim; ++c) {
          queries_.push_back(
              static_cast<float>(2 * std::sin(0.7 * static_cast<double>(h + 1) +
                                              0.31 * static_cast<double>(i * (c + 1)))));
        }
      }
    }
    for (int64_t head = 0; head < num_kv_heads; ++head) {
      const int64_t a = head * 2 / num_kv_heads;
      for (int64_t j = 0; j < kTokens; ++j) {
        for (int64_t c = 0; c < kHeadDim; ++c) {
          keys_.push_back(static_cast<float>(2 * std::cos(0.4 * static_cast<double>(a + 1) +
                                                          0.53 * static_cast<double>(j) +
                                                          0.9 * static_cast<double>(c))));
        }
      }
    }
  }

  const ModelShape& shape() const { return shape_; }

  // Plans 24 tokens and selects at layer 0, or at the last layer of a first pass.
  Selected Run(const MethodConfig& config) {
    auto method = CreateMethod(config, shape_);
    EXPECT_TRUE(method.ok()) << method.status().message();
    if (!method.ok()) return {};
    const Result<PrefillPlan> made = (*method)->Plan(kTokens);
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (!made.ok()) return {};
    const PrefillPlan& plan = *made;
    const bool selecting = !plan.selection_pass.empty();
    const int64_t layer = static_cast<int64_t>(plan.selection_pass.size()) - 1;
    const LayerPlan& layer_plan = selecting ? plan.selection_pass.back() : plan.layers[0];
    ObservationScratch scratch = ObservationScratch::Allocate(*backend_, shape_, plan).value();
    LayerInputs inputs = Observe(layer_plan, scratch);
    for (const PromptSpan& span : plan.protected_tokens) {
      inputs.protected_tokens.push_back({span.begin, span.end});
    }
    LayerObservation observation(*backend_, scratch, inputs);
    std::vector<int32_t> kept(layer_plan.MaxEntries(shape_.num_kv_heads));
    std::vector<int32_t> propagated(layer_plan.cut_tokens);
    Selection selection;
    const bool drops = !selecting && !layer_plan.keeps_all();
    if (drops && layer_plan.unequal_heads) {
      selection.kv_indices =
          TensorView(kept.data(), DType::kI32, {static_cast<int64_t>(kept.size())});
    } else if (drops) {
      selection.kv_indices =
          TensorView(kept.data(), DType::kI32, {shape_.num_kv_heads, layer_plan.kv_len});
    }
    if (layer_plan.may_cut()) {
      selection.token_indices = TensorView(propagated.data(), DType::kI32, {layer_plan.cut_tokens});
    }
    EXPECT_TRUE(
        (*method)->NewSelector()->Select(plan, selecting ? layer : 0, observation, selection).ok());
    Selected selected{.propagated = propagated};
    auto from = kept.begin();
    for (int64_t head = 0; drops && head < shape_.num_kv_heads; ++head) {
      const auto count = layer_plan.unequal_heads ? selection.head_kv_len[head] : layer_plan.kv_len;
      selected.kept.emplace_back(from, from + count);
      from += count;
    }
    return selected;
  }

 private:
  // The engine's part, in one block.
  LayerInputs Observe(const LayerPlan& plan, ObservationScratch& scratch) {
    const Observation& wanted = plan.observation;
    const ConstTensorView queries(queries_.data(), DType::kF32,
                                  {kTokens, shape_.num_q_heads, kHeadDim});
    LayerInputs inputs;
    inputs.prompt_tokens = kTokens;
    inputs.keys =
        ConstTensorView(keys_.data(), DType::kF32, {shape_.num_kv_heads, kTokens, kHeadDim});
    inputs.values = inputs.keys;
    inputs.queries = queries.Rows(kTokens - wanted.query_rows, kTokens);
    inputs.scale = kScale;
    inputs.column_sums = wanted.column_sums;
    inputs.moment_rows = kTokens - wanted.moments_first_row;
    for (size_t i = 0; i < wanted.column_sums.size(); ++i) {
      AddColumns(wanted.column_sums[i], scratch.ColumnSumsAt(static_cast<int64_t>(i), kTokens));
    }
    return inputs;
  }

  void AddColumns(const ColumnSums& sums, const TensorView& out) {
    std::vector<float> log_sum_exp(kTokens * shape_.num_q_heads);
    std::vector<float> attention(queries_.size());
    const ConstTensorView queries(queries_.data(), DType::kF32,
                                  {kTokens, shape_.num_q_heads, kHeadDim});
    const ConstTensorView keys(keys_.data(), DType::kF32, {shape_.num_kv_heads, kTokens, kHeadDim});
    const TensorView normalisers(log_sum_exp.data(), DType::kF32, {kTokens, shape_.num_q_heads});
    backend_->PrefillAttention(
        {.q = queries,
         .keys = keys,
         .values = keys,
         .scale = kScale,
         .out = TensorView(attention.data(), DType::kF32, {kTokens, shape_.num_q_heads * kHeadDim}),
         .log_sum_exp = normalisers});
    std::vector<float> weights(sums.rows);
    for (int64_t i = 0; i < sums.rows; ++i) {
      weights[i] = 1 + (sums.last_row_weight - 1) * static_cast<float>(i) /
                           static_cast<float>(std::max<int64_t>(1, sums.rows - 1));
    }
    const std::vector<ColumnSpan> all = {{0, kTokens}};
    backend_->FillColumns({.scores = out, .spans = all, .value = 0});
    const int64_t first = kTokens - sums.rows;
    backend_->ColumnScores(
        {.q = queries.Rows(first, kTokens),
         .keys = keys,
         .q_start = first,
         .scale = kScale,
         .log_sum_exp = normalisers.Rows(first, kTokens),
         .row_weights = ConstTensorView(weights.data(), DType::kF32, {sums.rows}),
         .out = out});
  }

  std::unique_ptr<Backend> backend_;
  ModelShape shape_;
  std::vector<float> queries_;
  std::vector<float> keys_;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_TOY_LAYER_H_
