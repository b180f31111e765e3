// ColumnScores: the probabilities that a block of rows gives each entry, added up.
#include <algorithm>
#include <cmath>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

struct ColumnSizes {
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t q_start = 0;
  int64_t q_len = 0;
  int64_t kv_len = 0;  // may end before the rows do, or go on behind them
};

struct ColumnOptions {
  int64_t window = 0;
  int64_t spare_entries = 0;  // room behind each head's entries
  // Standard deviation of the scaled scores; 40 makes nearly one-hot rows with scores of +-100.
  int64_t score_deviation = 1;
  bool row_weights = false;
  // The exact normaliser costs as much as the operation, in double: benchmarks take its
  // expectation.
  bool exact_log_sum_exp = true;
};

class ColumnCase {
 public:
  ColumnCase(const ColumnSizes& sizes, const ColumnOptions& options)
      : sizes_(sizes),
        options_(options),
        random_(sizes.q_len * 211 + sizes.q_start + sizes.kv_len + sizes.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(sizes.head_dim))) {
    const float deviation = std::sqrt(static_cast<float>(options.score_deviation));
    q_ = Gaussian(random_, sizes.q_len * sizes.num_q_heads * sizes.head_dim, deviation);
    keys_ = Gaussian(random_, sizes.num_kv_heads * sizes.kv_len * sizes.head_dim, deviation);
    if (options.window > 0) positions_ = GappedPositions(random_, sizes.kv_len);
  }

  void SetUp(OpRun& run) {
    const auto& [num_q_heads, num_kv_heads, d, q_start, q_len, kv_len] = sizes_;
    ColumnScoresParams params;
    params.q = run.Input(run.activation(), {q_len, num_q_heads, d}, q_);
    params.keys = run.Input(run.kv(), {num_kv_heads, kv_len, d}, keys_,
                            (kv_len + options_.spare_entries) * d);
    params.q_start = q_start;
    params.scale = scale_;
    params.window = options_.window;
    if (options_.window > 0) params.positions = run.Input({kv_len}, positions_).As<int32_t>();
    params.log_sum_exp = run.Input(DType::kF32, {q_len, num_q_heads}, LogSumExp());
    if (options_.row_weights) {
      std::vector<float> weights = Gaussian(random_, q_len);
      for (size_t i = 0; i < weights.size(); ++i) {
        weights[i] = i % 5 == 2 ? 0 : std::fabs(weights[i]);
      }
      params.row_weights = run.Input(DType::kF32, {q_len}, weights);
    }
    std::vector<float> initial = Gaussian(random_, num_kv_heads * kv_len);
    for (float& value : initial) value = std::fabs(value);
    params.out = run.Output("out", DType::kF32, {num_kv_heads, kv_len},
                            kv_len + options_.spare_entries, initial);
    double pairs = 0;
    for (int64_t i = 0; i < q_len; ++i) {
      pairs += static_cast<double>(VisibleEnd(i) - VisibleBegin(i));
    }
    run.SetOperation([params](Backend& backend) { backend.ColumnScores(params); },
                     2.0 * pairs * static_cast<double>(num_q_heads * d));
  }

 private:
  int64_t VisibleEnd(int64_t row) const {
    return std::min(sizes_.kv_len, sizes_.q_start + row + 1);
  }
  int64_t VisibleBegin(int64_t row) const {
    if (options_.window == 0) return 0;
    int64_t begin = 0;
    const int32_t position = positions_[sizes_.q_start + row];
    while (position - positions_[begin] >= options_.window) ++begin;
    return begin;
  }

  std::vector<float> LogSumExp() const {
    std::vector<float> values;
    for (int64_t i = 0; i < sizes_.q_len; ++i) {
      for (int64_t h = 0; h < sizes_.num_q_heads; ++h) values.push_back(LogSumExp(i, h));
    }
    return values;
  }

  float LogSumExp(int64_t row, int64_t q_head) const {
    const int64_t d = sizes_.head_dim;
    const int64_t kv_head = q_head * sizes_.num_kv_heads / sizes_.num_q_heads;
    const int64_t begin = VisibleBegin(row);
    const int64_t end = VisibleEnd(row);
    if (begin == end) return 0;
    if (!options_.exact_log_sum_exp) {
      // The mean of e^x for normal x is e^(1/2).
      return static_cast<float>(std::log(static_cast<double>(end - begin)) + 0.5);
    }
    const float* query = &q_[(row * sizes_.num_q_heads + q_head) * d];
    std::vector<double> scores;
    for (int64_t j = begin; j < end; ++j) {
      const float* key = &keys_[(kv_head * sizes_.kv_len + j) * d];
      double dot = 0;
      for (int64_t c = 0; c < d; ++c) dot += double{query[c]} * key[c];
      scores.push_back(scale_ * dot);
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double score : scores) sum += std::exp(score - largest);
    return static_cast<float>(largest + std::log(sum));
  }

  ColumnSizes sizes_;
  ColumnOptions options_;
  Random random_;
  float scale_;
  std::vector<float> q_;
  std::vector<float> keys_;
  std::vector<int32_t> positions_;
};

OpCase MakeCase(const ColumnSizes& sizes, const ColumnOptions& options = {}) {
  std::string name = Label({{"q", sizes.num_q_heads},
                            {"kv", sizes.num_kv_heads},
                            {"dim", sizes.head_dim},
                            {"start", sizes.q_start},
                            {"len", sizes.q_len},
                            {"entries", sizes.kv_len}});
  if (options.window > 0) name += Label({{"_window", options.window}});
  if (options.spare_entries > 0) name += Label({{"_spare", options.spare_entries}});
  if (options.score_deviation != 1) name += Label({{"_deviation", options.score_deviation}});
  if (options.row_weights) name += "_weights";
  return {"ColumnScores", name,
          [sizes, options](OpRun& run) { ColumnCase(sizes, options).SetUp(run); }};
}

}  // namespace

void AddColumnScoreCases(std::vector<OpCase>& cases) {
  cases.push_back(MakeCase({4, 2, 64, 3, 0, 3}));
  cases.push_back(MakeCase({4, 2, 64, 0, 5, 0}));
  cases.push_back(MakeCase({2, 2, 64, 0, 1, 1}));
  for (int64_t q_len : {1, 2, 63, 65, 130}) {
    cases.push_back(MakeCase({4, 2, 64, 0, q_len, q_len}));
    cases.push_back(
        MakeCase({2, 1, 128, 37, q_len, q_len + 40}, {.spare_entries = 9, .row_weights = true}));
  }
  // More rows than entries: the rows beyond see them all.
  cases.push_back(MakeCase({4, 1, 64, 50, 70, 33}, {.spare_entries = 2}));
  cases.push_back(MakeCase({4, 2, 64, 20, 70, 61}, {.row_weights = true}));
  const std::pair<int64_t, int64_t> head_counts[] = {{2, 2}, {6, 2}, {4, 1}, {7, 1}, {8, 1}};
  for (const auto& [num_q_heads, num_kv_heads] : head_counts) {
    cases.push_back(MakeCase({num_q_heads, num_kv_heads, 32, 70, 33, 103}));
  }
  for (int64_t head_dim : {16, 18, 80, 96, 128, 256}) {
    cases.push_back(MakeCase({4, 2, head_dim, 67, 34, 101}, {.spare_entries = 3}));
  }
  // Several blocks of entries; several blocks of rows.
  cases.push_back(MakeCase({4, 1, 64, 995, 5, 1000}));
  cases.push_back(MakeCase({4, 2, 32, 0, 601, 601}));
  cases.push_back(MakeCase({2, 1, 128, 1290, 33, 1323}, {.spare_entries = 71}));
  for (int64_t window : {1, 8, 100, 300, 100'000}) {
    cases.push_back(MakeCase({4, 2, 64, 0, 130, 130}, {.window = window}));
    cases.push_back(MakeCase({3, 1, 32, 301, 67, 372},
                             {.window = window, .spare_entries = 5, .row_weights = true}));
  }
  cases.push_back(MakeCase({4, 2, 64, 100, 67, 167}, {.score_deviation = 40}));
  cases.push_back(MakeCase({4, 2, 64, 100, 67, 167}, {.score_deviation = 0}));
}

void AddColumnScoreBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  const int64_t block = std::min(sizes.num_tokens, sizes.kv_len);
  for (int64_t q_start : {int64_t{0}, sizes.kv_len - block}) {
    cases.push_back(
        MakeCase({32, 8, 128, q_start, block, q_start + block}, {.exact_log_sum_exp = false}));
  }
}

}  // namespace fastkv::op_cases
