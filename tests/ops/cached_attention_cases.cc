#include <cmath>
#include <numeric>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

struct SequenceSizes {
  std::vector<int64_t> frozen_counts;  // [num_kv_heads]; empty: no frozen part
  int64_t tail_len = 0;
};

struct CachedSizes {
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t q_len = 1;
  std::vector<SequenceSizes> sequences;
};

struct CachedOptions {
  int64_t window = 0;
  int64_t spare_entries = 0;    // room behind each head's tail
  int64_t score_deviation = 1;  // as in PrefillAttention's cases
  bool log_sum_exp = true;
  bool int8_kv = false;  // the frozen part
};

// What the operation reads on the host; must outlive every call.
struct HostSide {
  std::vector<std::vector<int64_t>> head_begins;
  std::vector<KvLayerView> views;
};

// Kept entries lie anywhere in a prompt of this many tokens; the tail follows it.
int64_t PromptLength(const SequenceSizes& sequence) {
  int64_t longest = 0;
  for (int64_t count : sequence.frozen_counts) longest = std::max(longest, count);
  return 3 * longest + 5;
}

// Rows as KvType::kInt8 leaves them, of every integer that it gives.
ConstTensorView Integers(int64_t num_entries, int64_t head_dim, Random& random, OpRun& run) {
  std::vector<float> integers(num_entries * head_dim);
  for (float& integer : integers) integer = static_cast<float>(random.NextInt(255) - 127);
  return run.Input(DType::kI8, {num_entries, head_dim}, integers);
}

// Their scales, so that most elements are about as large as `deviation`; of a few entries 0.
const float* Scales(int64_t num_entries, float deviation, Random& random, OpRun& run) {
  constexpr float kIntegerDeviation = 73;  // 127 / sqrt(3)
  std::vector<float> scales(num_entries);
  for (float& scale : scales) {
    const auto share = static_cast<float>(random.NextDouble());
    scale = share < 0.1F ? 0 : (0.5F + share) * deviation / kIntegerDeviation;
  }
  return run.Input(DType::kF32, {num_entries}, scales).As<float>();
}

KvLayerView MakeSequence(const CachedSizes& sizes, const CachedOptions& options,
                         const SequenceSizes& sequence, const std::vector<int64_t>& head_begin,
                         Random& random, OpRun& run) {
  const int64_t d = sizes.head_dim;
  const float deviation = std::sqrt(static_cast<float>(options.score_deviation));
  KvLayerView view;
  view.head_begin = head_begin;
  if (!sequence.frozen_counts.empty()) {
    const int64_t num_entries = head_begin.back();
    std::vector<int32_t> positions;
    for (int64_t count : sequence.frozen_counts) {
      const std::vector<int32_t> kept = AscendingSubset(random, count, PromptLength(sequence));
      positions.insert(positions.end(), kept.begin(), kept.end());
    }
    if (options.int8_kv) {
      view.frozen_keys = Integers(num_entries, d, random, run);
      view.frozen_key_scales = Scales(num_entries, deviation, random, run);
      view.frozen_values = Integers(num_entries, d, random, run);
      view.frozen_value_scales = Scales(num_entries, 1, random, run);
    } else {
      view.frozen_keys =
          run.Input(run.kv(), {num_entries, d}, Gaussian(random, num_entries * d, deviation));
      view.frozen_values = run.Input(run.kv(), {num_entries, d}, Gaussian(random, num_entries * d));
    }
    view.frozen_positions = run.Input({num_entries}, positions).As<int32_t>();
  }
  if (sequence.tail_len > 0) {
    const Dims dims = {sizes.num_kv_heads, sequence.tail_len, d};
    const int64_t count = sizes.num_kv_heads * sequence.tail_len * d;
    const int64_t head_stride = (sequence.tail_len + options.spare_entries) * d;
    std::vector<int32_t> positions(sequence.tail_len);
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(PromptLength(sequence)));
    view.tail_keys = run.Input(run.kv(), dims, Gaussian(random, count, deviation), head_stride);
    view.tail_values = run.Input(run.kv(), dims, Gaussian(random, count), head_stride);
    view.tail_positions = run.Input({sequence.tail_len}, positions).As<int32_t>();
  }
  return view;
}

void SetUpCached(const CachedSizes& sizes, const CachedOptions& options, OpRun& run) {
  Random random(sizes.num_q_heads * 173 + sizes.head_dim + sizes.q_len);
  const int64_t d = sizes.head_dim;
  const auto num_rows = sizes.q_len * static_cast<int64_t>(sizes.sequences.size());
  const auto host = std::make_shared<HostSide>();
  double visible_entries = 0;
  for (const SequenceSizes& sequence : sizes.sequences) {
    std::vector<int64_t>& begin = host->head_begins.emplace_back(sizes.num_kv_heads + 1, 0);
    if (!sequence.frozen_counts.empty()) {
      std::partial_sum(sequence.frozen_counts.begin(), sequence.frozen_counts.end(),
                       begin.begin() + 1);
    }
    visible_entries += static_cast<double>(begin.back() + sizes.num_kv_heads * sequence.tail_len);
  }
  for (size_t s = 0; s < sizes.sequences.size(); ++s) {
    host->views.push_back(
        MakeSequence(sizes, options, sizes.sequences[s], host->head_begins[s], random, run));
  }
  CachedAttentionParams params;
  params.q = run.Input(run.activation(), {num_rows, sizes.num_q_heads, d},
                       Gaussian(random, num_rows * sizes.num_q_heads * d,
                                std::sqrt(static_cast<float>(options.score_deviation))));
  params.q_len = sizes.q_len;
  params.sequences = host->views;
  params.scale = 1 / std::sqrt(static_cast<float>(d));
  params.window = options.window;
  params.out = run.Output("out", run.activation(), {num_rows, sizes.num_q_heads * d});
  if (options.log_sum_exp) {
    params.log_sum_exp = run.Output("log_sum_exp", DType::kF32, {num_rows, sizes.num_q_heads});
  }
  const auto group_size = static_cast<double>(sizes.num_q_heads / sizes.num_kv_heads);
  run.SetOperation([params, host](Backend& backend) { backend.CachedAttention(params); },
                   4.0 * visible_entries * group_size * static_cast<double>(sizes.q_len * d));
}

OpCase CachedCase(const std::string& what, const CachedSizes& sizes,
                  const CachedOptions& options = {}) {
  std::string name = what + "_" +
                     Label({{"q", sizes.num_q_heads},
                            {"kv", sizes.num_kv_heads},
                            {"dim", sizes.head_dim},
                            {"len", sizes.q_len}});
  if (options.window > 0) name += Label({{"_window", options.window}});
  if (options.int8_kv) name += "_int8";
  return {"CachedAttention", name,
          [sizes, options](OpRun& run) { SetUpCached(sizes, options, run); }, options.int8_kv};
}

}  // namespace

void AddCachedAttentionCases(std::vector<OpCase>& cases) {
  cases.push_back(CachedCase("no_sequences", {4, 2, 64}));
  for (int64_t kv_len : {1, 2, 63, 64, 65, 130, 1000, 3001}) {
    const std::string length = std::to_string(kv_len);
    cases.push_back(CachedCase("tail" + length, {4, 2, 64, 1, {{{}, kv_len}}}));
    cases.push_back(CachedCase("frozen" + length, {4, 2, 64, 1, {{{kv_len, kv_len}, 1}}}));
  }
  cases.push_back(CachedCase("frozen_only", {4, 2, 64, 1, {{{70, 33}, 0}}}));
  const std::pair<int64_t, int64_t> head_counts[] = {{2, 2}, {6, 2}, {4, 1}, {7, 1}, {8, 1}};
  for (const auto& [num_q_heads, num_kv_heads] : head_counts) {
    const std::vector<int64_t> counts(num_kv_heads, 129);
    cases.push_back(CachedCase("group", {num_q_heads, num_kv_heads, 128, 1, {{counts, 5}}},
                               {.log_sum_exp = false}));
  }
  for (int64_t head_dim : {16, 32, 64, 80, 96, 128}) {
    cases.push_back(
        CachedCase("ragged", {8, 4, head_dim, 1, {{{100, 1, 0, 257}, 19}}}, {.spare_entries = 13}));
  }
  // Several rows: a follow-up prompt, or drafted tokens.
  for (int64_t q_len : {2, 3, 8, 33}) {
    cases.push_back(CachedCase("rows", {4, 2, 64, q_len, {{{90, 41}, q_len}}}));
    cases.push_back(
        CachedCase("later_rows", {6, 2, 32, q_len, {{{0, 77}, q_len + 40}}}, {.spare_entries = 2}));
    cases.push_back(CachedCase("no_frozen_rows", {2, 1, 128, q_len, {{{}, q_len + 64}}}));
  }
  const std::vector<SequenceSizes> batch = {
      {{64, 64}, 1}, {{}, 7}, {{513, 2}, 65}, {{0, 0}, 1}, {{1000, 1000}, 128}};
  cases.push_back(CachedCase("batch", {8, 2, 64, 1, batch}, {.spare_entries = 5}));
  cases.push_back(CachedCase("batch", {4, 2, 128, 1, batch}));
  const std::vector<SequenceSizes> even(6, SequenceSizes{{200, 200}, 24});
  cases.push_back(CachedCase("even_batch", {8, 2, 128, 1, even}));
  cases.push_back(CachedCase("batch_rows", {4, 2, 64, 3, {{{64, 3}, 3}, {{7, 130}, 40}}}));
  // Windows that end inside the tail, inside the frozen part, and beyond both.
  for (int64_t window : {1, 10, 150, 100'000}) {
    cases.push_back(
        CachedCase("window", {4, 2, 64, 1, {{{100, 37}, 30}, {{}, 40}}}, {.window = window}));
    cases.push_back(CachedCase("window_rows", {4, 2, 32, 5, {{{100, 0}, 30}}}, {.window = window}));
  }
  cases.push_back(
      CachedCase("extreme", {4, 2, 64, 1, {{{1000, 300}, 40}}}, {.score_deviation = 40}));
  cases.push_back(CachedCase("extreme", {4, 2, 128, 4, {{{200, 0}, 40}}}, {.score_deviation = 40}));
  cases.push_back(CachedCase("flat", {4, 2, 64, 1, {{{300, 100}, 40}}}, {.score_deviation = 0}));
}

void AddInt8CachedAttentionCases(std::vector<OpCase>& cases) {
  const CachedOptions int8 = {.int8_kv = true};
  for (int64_t kv_len : {0, 1, 2, 15, 16, 17, 63, 64, 65, 130, 1000, 3001}) {
    const std::string length = std::to_string(kv_len);
    cases.push_back(CachedCase("frozen" + length, {4, 2, 64, 1, {{{kv_len, kv_len}, 1}}}, int8));
  }
  cases.push_back(CachedCase("frozen_only", {4, 2, 64, 1, {{{70, 33}, 0}}}, int8));
  for (const auto& [num_q_heads, num_kv_heads] :
       {std::pair{2, 2}, std::pair{6, 2}, std::pair{4, 1}, std::pair{7, 1}, std::pair{8, 1}}) {
    const std::vector<int64_t> counts(num_kv_heads, 129);
    cases.push_back(CachedCase("group", {num_q_heads, num_kv_heads, 128, 1, {{counts, 5}}},
                               {.log_sum_exp = false, .int8_kv = true}));
  }
  for (int64_t head_dim : {1, 16, 32, 64, 80, 96, 128, 256}) {
    cases.push_back(CachedCase("ragged", {8, 4, head_dim, 1, {{{100, 1, 0, 257}, 19}}},
                               {.spare_entries = 13, .int8_kv = true}));
  }
  for (int64_t q_len : {2, 3, 33}) {
    cases.push_back(CachedCase("rows", {4, 2, 64, q_len, {{{290, 41}, q_len}}}, int8));
    cases.push_back(CachedCase("later_rows", {6, 2, 80, q_len, {{{0, 77}, q_len + 40}}},
                               {.spare_entries = 2, .int8_kv = true}));
  }
  const std::vector<SequenceSizes> batch = {
      {{64, 64}, 1}, {{}, 7}, {{513, 2}, 65}, {{0, 0}, 1}, {{1000, 1000}, 128}};
  cases.push_back(CachedCase("batch", {4, 2, 128, 1, batch}, int8));
  cases.push_back(CachedCase("batch_rows", {4, 2, 64, 3, {{{64, 3}, 3}, {{7, 130}, 40}}}, int8));
  for (int64_t window : {1, 10, 150, 100'000}) {
    const CachedOptions options = {.window = window, .int8_kv = true};
    cases.push_back(CachedCase("window", {4, 2, 64, 1, {{{100, 37}, 30}, {{}, 40}}}, options));
    cases.push_back(CachedCase("window_rows", {4, 2, 32, 5, {{{100, 0}, 30}}}, options));
  }
  cases.push_back(CachedCase("extreme", {4, 2, 64, 1, {{{1000, 300}, 40}}},
                             {.score_deviation = 40, .int8_kv = true}));
}

void AddCachedAttentionBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  const auto sequence = [](int64_t frozen) {
    return SequenceSizes{std::vector<int64_t>(8, frozen), 64};
  };
  const int64_t kept = sizes.kv_len / 10;
  cases.push_back(CachedCase("full", {32, 8, 128, 1, {sequence(sizes.kv_len)}}));
  cases.push_back(CachedCase("kept_tenth", {32, 8, 128, 1, {sequence(kept)}}));
  cases.push_back(CachedCase("full", {32, 8, 128, 1, {sequence(sizes.kv_len)}}, {.int8_kv = true}));
  cases.push_back(CachedCase("kept_tenth", {32, 8, 128, 1, {sequence(kept)}}, {.int8_kv = true}));
  cases.push_back(CachedCase(
      "full_batch8", {32, 8, 128, 1, std::vector<SequenceSizes>(8, sequence(sizes.kv_len))}));
  cases.push_back(CachedCase("kept_tenth_batch8",
                             {32, 8, 128, 1, std::vector<SequenceSizes>(8, sequence(kept))}));
  cases.push_back(CachedCase("full_rows", {32, 8, 128, 64, {sequence(sizes.kv_len)}}));
}

}  // namespace fastkv::op_cases
