// PrefillAttention and WindowScores: rows of queries over one layer's keys.
#include <algorithm>
#include <cmath>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

struct AttentionSizes {
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t q_start = 0;
  int64_t q_len = 0;
};

struct AttentionOptions {
  int64_t later_entries = 0;  // entries behind the last row's own
  int64_t window = 0;
  int64_t spare_entries = 0;  // room behind each head's entries
  // Standard deviation of the scaled scores; 40 makes nearly one-hot rows with scores of +-100.
  int64_t score_deviation = 1;
  bool log_sum_exp = false;
  bool row_maximum = false;  // WindowScores: the largest probability instead of the sum
};

// The part that both operations take: q, keys, and positions where a window needs them.
struct AttentionInputs {
  ConstTensorView q;
  ConstTensorView keys;
  const int32_t* positions = nullptr;
  std::vector<int32_t> host_positions;
  float scale = 0;
  int64_t kv_len = 0;
};

AttentionInputs MakeInputs(const AttentionSizes& sizes, const AttentionOptions& options,
                           Random& random, OpRun& run) {
  const int64_t d = sizes.head_dim;
  const float deviation = std::sqrt(static_cast<float>(options.score_deviation));
  AttentionInputs inputs;
  inputs.kv_len = sizes.q_start + sizes.q_len + options.later_entries;
  inputs.scale = 1 / std::sqrt(static_cast<float>(d));
  inputs.q = run.Input(run.activation(), {sizes.q_len, sizes.num_q_heads, d},
                       Gaussian(random, sizes.q_len * sizes.num_q_heads * d, deviation));
  inputs.keys = run.Input(run.kv(), {sizes.num_kv_heads, inputs.kv_len, d},
                          Gaussian(random, sizes.num_kv_heads * inputs.kv_len * d, deviation),
                          (inputs.kv_len + options.spare_entries) * d);
  if (options.window > 0) {
    inputs.host_positions = GappedPositions(random, inputs.kv_len);
    inputs.positions = run.Input({inputs.kv_len}, inputs.host_positions).As<int32_t>();
  }
  return inputs;
}

// (row, entry) pairs that causality and the window leave.
double VisiblePairs(const AttentionSizes& sizes, const AttentionOptions& options,
                    const AttentionInputs& inputs) {
  double pairs = 0;
  int64_t first = 0;  // the first entry that the row sees
  for (int64_t own = sizes.q_start; own < sizes.q_start + sizes.q_len; ++own) {
    const auto out_of_window = [&](int64_t entry) {
      return inputs.host_positions[own] - inputs.host_positions[entry] >= options.window;
    };
    while (options.window > 0 && out_of_window(first)) ++first;
    pairs += static_cast<double>(own + 1 - first);
  }
  return pairs;
}

std::string AttentionLabel(const AttentionSizes& sizes, const AttentionOptions& options) {
  std::string name = Label({{"q", sizes.num_q_heads},
                            {"kv", sizes.num_kv_heads},
                            {"dim", sizes.head_dim},
                            {"start", sizes.q_start},
                            {"len", sizes.q_len}});
  if (options.later_entries > 0) name += Label({{"_later", options.later_entries}});
  if (options.window > 0) name += Label({{"_window", options.window}});
  if (options.spare_entries > 0) name += Label({{"_spare", options.spare_entries}});
  if (options.score_deviation != 1) name += Label({{"_deviation", options.score_deviation}});
  if (options.log_sum_exp) name += "_lse";
  if (options.row_maximum) name += "_max";
  return name;
}

void SetUpPrefill(const AttentionSizes& sizes, const AttentionOptions& options, OpRun& run) {
  Random random(sizes.q_len * 163 + sizes.q_start + sizes.head_dim);
  const AttentionInputs inputs = MakeInputs(sizes, options, random, run);
  const int64_t d = sizes.head_dim;
  PrefillAttentionParams params;
  params.q = inputs.q;
  params.keys = inputs.keys;
  params.values = run.Input(run.kv(), {sizes.num_kv_heads, inputs.kv_len, d},
                            Gaussian(random, sizes.num_kv_heads * inputs.kv_len * d),
                            (inputs.kv_len + options.spare_entries) * d);
  params.q_start = sizes.q_start;
  params.scale = inputs.scale;
  params.window = options.window;
  params.positions = inputs.positions;
  params.out = run.Output("out", run.activation(), {sizes.q_len, sizes.num_q_heads * d});
  if (options.log_sum_exp) {
    params.log_sum_exp = run.Output("log_sum_exp", DType::kF32, {sizes.q_len, sizes.num_q_heads});
  }
  run.SetOperation(
      [params](Backend& backend) { backend.PrefillAttention(params); },
      4.0 * VisiblePairs(sizes, options, inputs) * static_cast<double>(sizes.num_q_heads * d));
}

OpCase PrefillCase(const AttentionSizes& sizes, const AttentionOptions& options = {}) {
  return {"PrefillAttention", AttentionLabel(sizes, options),
          [sizes, options](OpRun& run) { SetUpPrefill(sizes, options, run); }};
}

void SetUpWindowScores(const AttentionSizes& sizes, const AttentionOptions& options, OpRun& run) {
  Random random(sizes.q_len * 167 + sizes.q_start + sizes.head_dim);
  const AttentionInputs inputs = MakeInputs(sizes, options, random, run);
  WindowScoresParams params;
  params.q = inputs.q;
  params.keys = inputs.keys;
  params.scale = inputs.scale;
  params.window = options.window;
  params.positions = inputs.positions;
  if (options.row_maximum) params.row_reduction = ReductionKind::kMax;
  params.out = run.Output("out", DType::kF32, {sizes.num_q_heads, sizes.q_start});
  run.SetOperation(
      [params](Backend& backend) { backend.WindowScores(params); },
      2.0 * static_cast<double>(sizes.q_len * inputs.kv_len * sizes.num_q_heads * sizes.head_dim));
}

// The window is the last q_len entries, so q_start is the number of columns.
OpCase WindowCase(const AttentionSizes& sizes, const AttentionOptions& options = {}) {
  return {"WindowScores", AttentionLabel(sizes, options),
          [sizes, options](OpRun& run) { SetUpWindowScores(sizes, options, run); }};
}

}  // namespace

void AddPrefillAttentionCases(std::vector<OpCase>& cases) {
  cases.push_back(PrefillCase({4, 2, 64, 0, 0}, {.later_entries = 5}));
  for (int64_t q_len : {1, 2, 63, 64, 65, 130}) {
    cases.push_back(PrefillCase({4, 2, 64, 0, q_len}));
    cases.push_back(PrefillCase({2, 1, 128, 37, q_len}, {.later_entries = 3, .spare_entries = 9}));
  }
  const std::pair<int64_t, int64_t> head_counts[] = {{2, 2}, {6, 2}, {4, 1}, {7, 1}, {8, 1}};
  for (const auto& [num_q_heads, num_kv_heads] : head_counts) {
    cases.push_back(PrefillCase({num_q_heads, num_kv_heads, 64, 50, 33}, {.log_sum_exp = true}));
  }
  for (int64_t head_dim : {16, 32, 64, 80, 96, 128}) {
    cases.push_back(PrefillCase({4, 2, head_dim, 67, 34},
                                {.later_entries = 2, .spare_entries = 3, .log_sum_exp = true}));
  }
  // Long rows, the last block of a prompt.
  cases.push_back(PrefillCase({4, 1, 64, 995, 5}, {.log_sum_exp = true}));
  cases.push_back(PrefillCase({4, 2, 128, 2968, 33}, {.spare_entries = 71}));
  // Windows narrower than a tile, about one tile, and wider than the prompt.
  for (int64_t window : {1, 8, 100, 300, 100'000}) {
    cases.push_back(PrefillCase({4, 2, 64, 0, 130}, {.window = window}));
    cases.push_back(PrefillCase(
        {3, 1, 32, 301, 67},
        {.later_entries = 4, .window = window, .spare_entries = 5, .log_sum_exp = true}));
  }
  cases.push_back(PrefillCase({4, 2, 64, 100, 67}, {.score_deviation = 40, .log_sum_exp = true}));
  cases.push_back(PrefillCase({2, 1, 128, 700, 20}, {.score_deviation = 40}));
  cases.push_back(PrefillCase({4, 2, 64, 100, 67}, {.score_deviation = 0, .log_sum_exp = true}));

  for (int64_t num_columns : {0, 1, 2, 55, 56, 57, 122, 992, 2993}) {
    cases.push_back(WindowCase({4, 2, 64, num_columns, 8}));
  }
  for (int64_t window_rows : {1, 3, 16, 32, 64}) {
    cases.push_back(WindowCase({2, 1, 128, 203, window_rows}, {.spare_entries = 6}));
  }
  for (const auto& [num_q_heads, num_kv_heads] : head_counts) {
    cases.push_back(WindowCase({num_q_heads, num_kv_heads, 32, 130, 8}));
  }
  for (int64_t head_dim : {16, 32, 80, 96, 128}) {
    cases.push_back(WindowCase({4, 2, head_dim, 129, 8}, {.spare_entries = 3}));
  }
  for (int64_t window : {1, 5, 100, 100'000}) {
    cases.push_back(WindowCase({4, 2, 64, 150, 8}, {.window = window}));
  }
  for (int64_t num_columns : {0, 1, 57, 993}) {
    cases.push_back(WindowCase({4, 2, 64, num_columns, 32}, {.row_maximum = true}));
    cases.push_back(WindowCase({8, 1, 128, num_columns, 67}, {.row_maximum = true}));
  }
  cases.push_back(
      WindowCase({6, 2, 80, 211, 13}, {.window = 50, .spare_entries = 3, .row_maximum = true}));
  cases.push_back(WindowCase({4, 2, 64, 1000, 8}, {.score_deviation = 40}));
  cases.push_back(WindowCase({4, 2, 64, 300, 8}, {.score_deviation = 0}));
}

void AddPrefillAttentionBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  const int64_t block = std::min(sizes.num_tokens, sizes.kv_len);
  cases.push_back(PrefillCase({32, 8, 128, 0, block}));
  cases.push_back(PrefillCase({32, 8, 128, sizes.kv_len - block, block}));
  cases.push_back(PrefillCase({32, 8, 128, sizes.kv_len - block, block}, {.window = 4096}));
  cases.push_back(WindowCase({32, 8, 128, sizes.kv_len - 8, 8}));
  cases.push_back(WindowCase({32, 8, 128, sizes.kv_len - 32, 32}));
}

}  // namespace fastkv::op_cases
