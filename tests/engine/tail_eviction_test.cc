// Dropping entries while decoding, against a plain account that remembers every row.
#include "engine/tail_eviction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/entry_store.h"
#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

// One layer as the definition has it: all rows with their probabilities by entry.
struct PlainLayer {
  std::vector<std::vector<std::vector<float>>> keys;  // [position][kv head][head_dim]
  std::vector<int32_t> present;                       // positions, ascending
  struct Row {
    int32_t position;
    std::vector<double> probabilities;  // by position, mean over query heads; 0 where not seen
  };
  std::vector<Row> rows;  // of the tail's tokens
};

class TailEvictionTest : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr int64_t kPromptTokens = 150;

  TailEvictionTest()
      : engine_(
            LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/" + GetParam(),
                            .device = "cpu",
                            .compute_type = ComputeType::kF32})),
        backend_(engine_->backend()),
        config_(engine_->config()) {}

  std::vector<float> Gaussian(int64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = random_.NextGaussian();
    return values;
  }

  // The row of `position`, whose entry is the last of those present.
  void AddRow(PlainLayer& layer, int64_t index, int32_t position, const float* query) {
    PlainLayer::Row row{.position = position};
    row.probabilities.resize(position + 1);
    const int64_t group_size = config_.num_q_heads / config_.num_kv_heads;
    const int64_t window = config_.sliding_window[index];
    std::vector<double> scores(position + 1);
    for (int64_t h = 0; h < config_.num_q_heads; ++h) {
      double sum = 0;
      std::fill(scores.begin(), scores.end(), 0);
      for (const int32_t j : layer.present) {
        if (j > position || (window > 0 && position - j >= window)) continue;
        const std::vector<float>& key = layer.keys[j][h / group_size];
        double dot = 0;
        for (size_t c = 0; c < key.size(); ++c) dot += query[h * key.size() + c] * key[c];
        scores[j] = std::exp(dot * engine_->model().attention_scale());
        sum += scores[j];
      }
      for (int32_t j = 0; j <= position; ++j) {
        row.probabilities[j] += scores[j] / sum / static_cast<double>(config_.num_q_heads);
      }
    }
    layer.rows.push_back(std::move(row));
  }

  // The rule: of the step entries before the recent ones, those with the best weighted attention.
  static void PlainEvict(PlainLayer& layer, const EvictionPlan& plan) {
    const auto recent_begin = layer.present.end() - plan.recent_rows;
    const auto group_begin = recent_begin - plan.step_tokens;
    std::vector<std::pair<double, int32_t>> scored;
    for (auto j = group_begin; j != recent_begin; ++j) {
      double score = 0;
      for (int64_t i = 0; i < plan.recent_rows; ++i) {
        const PlainLayer::Row& row = layer.rows[layer.rows.size() - plan.recent_rows + i];
        const double weight = plan.recent_rows < 2
                                  ? 1
                                  : 1 + (plan.last_row_weight - 1.0) * static_cast<double>(i) /
                                            static_cast<double>(plan.recent_rows - 1);
        if (*j <= row.position) score += weight * row.probabilities[*j];
      }
      scored.emplace_back(-score, *j);
    }
    std::sort(scored.begin(), scored.end());
    for (size_t i = plan.kept_tokens; i < scored.size(); ++i) {
      layer.present.erase(std::find(layer.present.begin(), layer.present.end(), scored[i].second));
    }
  }

  void Check(int64_t recent_rows, int64_t block_tokens, int64_t new_tokens);

  std::unique_ptr<Engine> engine_;
  Backend& backend_;
  const ModelConfig& config_;
  Random random_{7};
};

void TailEvictionTest::Check(int64_t recent_rows, int64_t block_tokens, int64_t new_tokens) {
  SCOPED_TRACE("recent " + std::to_string(recent_rows) + ", block " + std::to_string(block_tokens));
  const int64_t layers = config_.num_layers;
  const int64_t key_size = config_.num_kv_heads * config_.head_dim;
  const int64_t query_size = config_.num_q_heads * config_.head_dim;
  PrefillPlan plan;
  plan.prompt_tokens = kPromptTokens;
  plan.layers.assign(
      layers, {.tokens_in = kPromptTokens, .kv_len = kPromptTokens, .tokens_out = kPromptTokens});
  plan.eviction = EvictionPlan{
      .recent_rows = recent_rows, .step_tokens = 16, .kept_tokens = 14, .last_row_weight = 1.2F};
  TailEviction eviction = TailEviction::Create(backend_, engine_->model(), plan).value();
  KvCache cache(backend_, {.num_layers = layers,
                           .num_kv_heads = config_.num_kv_heads,
                           .head_dim = config_.head_dim,
                           .dtype = DType::kF32});
  for (int64_t i = 0; i < layers; ++i) {
    ASSERT_TRUE(ReserveEntries(backend_, plan, i, cache).ok());
  }
  ASSERT_TRUE(cache.ReserveTail(recent_rows).ok());
  cache.set_next_position(kPromptTokens);

  std::vector<int32_t> positions(kPromptTokens);
  std::iota(positions.begin(), positions.end(), 0);
  std::vector<PlainLayer> plain(layers);
  for (int64_t i = 0; i < layers; ++i) {
    std::vector<float> keys = Gaussian(kPromptTokens * key_size);
    std::vector<float> queries = Gaussian(kPromptTokens * query_size);
    const TensorView key_view(keys.data(), DType::kF32,
                              {config_.num_kv_heads, kPromptTokens, config_.head_dim});
    const ConstTensorView query_view(queries.data(), DType::kF32,
                                     {kPromptTokens, config_.num_q_heads, config_.head_dim});
    for (int64_t begin = 0; begin < kPromptTokens; begin += block_tokens) {
      const int64_t end = std::min(kPromptTokens, begin + block_tokens);
      std::vector<float> out((end - begin) * query_size);
      std::vector<float> log_sum_exp((end - begin) * config_.num_q_heads);
      const TensorView normalisers(log_sum_exp.data(), DType::kF32,
                                   {end - begin, config_.num_q_heads});
      backend_.PrefillAttention(
          {.q = query_view.Rows(begin, end),
           .keys = key_view.Slice(1, 0, end),
           .values = key_view.Slice(1, 0, end),
           .q_start = begin,
           .scale = engine_->model().attention_scale(),
           .window = config_.sliding_window[i],
           .positions = positions.data(),
           .out = TensorView(out.data(), DType::kF32, {end - begin, query_size}),
           .log_sum_exp = normalisers});
      eviction.RecordPrompt(i, kPromptTokens,
                            {.queries = query_view.Rows(begin, end),
                             .keys = key_view.Slice(1, 0, end),
                             .log_sum_exp = normalisers,
                             .begin = begin,
                             .positions = positions.data()});
    }
    StoreSplit(backend_, {.keys = key_view, .values = key_view, .positions = positions.data()},
               recent_rows, cache.layer(i));
    for (int64_t j = 0; j < kPromptTokens; ++j) {
      plain[i].keys.emplace_back();
      for (int64_t a = 0; a < config_.num_kv_heads; ++a) {
        const float* key = keys.data() + (a * kPromptTokens + j) * config_.head_dim;
        plain[i].keys.back().emplace_back(key, key + config_.head_dim);
      }
    }
    plain[i].present = positions;
    for (int64_t j = kPromptTokens - recent_rows; j < kPromptTokens; ++j) {
      AddRow(plain[i], i, static_cast<int32_t>(j), queries.data() + j * query_size);
    }
  }

  int64_t safe_len = kPromptTokens - recent_rows;  // entries that a decision has passed
  for (int64_t step = 0; step < new_tokens; ++step) {
    const auto position = static_cast<int32_t>(kPromptTokens + step);
    ASSERT_TRUE(cache.AppendTokens(1).ok());
    ASSERT_TRUE(eviction.ReserveForToken(cache).ok());
    const int64_t tail_len = cache.tail_len();
    for (int64_t i = 0; i < layers; ++i) {
      std::vector<float> key = Gaussian(key_size);
      std::vector<float> query = Gaussian(query_size);
      plain[i].keys.emplace_back();
      for (int64_t a = 0; a < config_.num_kv_heads; ++a) {
        const float* of_head = key.data() + a * config_.head_dim;
        for (const TensorView& tail : {cache.layer(i).TailKeys(tail_len - 1, tail_len),
                                       cache.layer(i).TailValues(tail_len - 1, tail_len)}) {
          std::copy_n(of_head, config_.head_dim, tail.Rows(a, a + 1).As<float>());
        }
        plain[i].keys.back().emplace_back(of_head, of_head + config_.head_dim);
      }
      const KvLayerView view = cache.layer(i).View(tail_len);
      std::vector<float> out(query_size);
      const ConstTensorView query_view(query.data(), DType::kF32,
                                       {1, config_.num_q_heads, config_.head_dim});
      backend_.CachedAttention({.q = query_view,
                                .sequences = {&view, 1},
                                .scale = engine_->model().attention_scale(),
                                .window = config_.sliding_window[i],
                                .out = TensorView(out.data(), DType::kF32, {1, query_size}),
                                .log_sum_exp = eviction.LogSumExp(i)});
      eviction.RecordToken(i, query_view);
      plain[i].present.push_back(position);
      AddRow(plain[i], i, position, query.data());
    }
    ASSERT_TRUE(eviction.FinishToken(cache).ok());
    const auto len = static_cast<int64_t>(plain[0].present.size());
    if (len - recent_rows - safe_len >= plan.eviction->step_tokens) {
      for (PlainLayer& layer : plain) PlainEvict(layer, *plan.eviction);
      safe_len = static_cast<int64_t>(plain[0].present.size()) - recent_rows;
    }
    if (step % 40 == 20) {
      // A fork goes on by itself.
      TailEviction fork = eviction.Fork().value();
      eviction = std::move(fork);
    }
    for (int64_t i = 0; i < layers; ++i) {
      for (int64_t head = 0; head < config_.num_kv_heads; ++head) {
        ASSERT_EQ(cache.PositionsOf(i, head).value(), plain[i].present)
            << "token " << step << ", layer " << i;
      }
    }
    // Keys moved with their positions.
    const KvLayerView view = cache.layer(0).View(cache.tail_len());
    const int32_t first = view.tail_positions[0];
    ASSERT_EQ(view.tail_keys.As<float>()[0], plain[0].keys[first][0][0]);
  }
}

TEST_P(TailEvictionTest, DropsWhatTheDefinitionDrops) {
  Check(/*recent_rows=*/1, /*block_tokens=*/64, /*new_tokens=*/40);
  Check(/*recent_rows=*/13, /*block_tokens=*/150, /*new_tokens=*/70);
  Check(/*recent_rows=*/31, /*block_tokens=*/7, /*new_tokens=*/100);
  Check(/*recent_rows=*/121, /*block_tokens=*/33, /*new_tokens=*/60);
  Check(/*recent_rows=*/150, /*block_tokens=*/64, /*new_tokens=*/20);
}

TEST_P(TailEvictionTest, GoesOnForManyTokens) {
  Check(/*recent_rows=*/20, /*block_tokens=*/64, /*new_tokens=*/250);
}

INSTANTIATE_TEST_SUITE_P(Models, TailEvictionTest, ::testing::Values("llama", "mistral_window"));

}  // namespace
}  // namespace fastkv
