#include <cmath>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

std::vector<float> InverseFrequencies(int64_t head_dim) {
  std::vector<float> frequencies(head_dim / 2);
  for (size_t c = 0; c < frequencies.size(); ++c) {
    frequencies[c] = static_cast<float>(
        std::pow(10000.0, -2.0 * static_cast<double>(c) / static_cast<double>(head_dim)));
  }
  return frequencies;
}

OpCase RopeTableCase(int64_t num_tokens, int64_t head_dim, int64_t max_gap) {
  const std::string name = Label({{"tokens", num_tokens}, {"dim", head_dim}, {"gap", max_gap}});
  return {"RopeTable", name, [=](OpRun& run) {
            Random random(num_tokens * 151 + head_dim);
            RopeTableParams params;
            params.positions =
                run.Input({num_tokens}, GappedPositions(random, num_tokens, max_gap)).As<int32_t>();
            params.inverse_frequencies =
                run.Input(DType::kF32, {head_dim / 2}, InverseFrequencies(head_dim));
            params.attention_factor = 1.25f;
            params.cos_sin = run.Output("cos_sin", DType::kF32, {num_tokens, head_dim});
            run.SetOperation([params](Backend& backend) { backend.RopeTable(params); },
                             static_cast<double>(num_tokens * head_dim));
          }};
}

struct QkvSizes {
  int64_t num_tokens = 0;
  int64_t num_q_heads = 0;  // 0: keys and values only
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
};

struct QkvOptions {
  bool q_norm = false;
  bool k_norm = false;
  int64_t spare_entries = 0;  // room behind each head's entries
};

void SetUpStoreQkv(const QkvSizes& sizes, const QkvOptions& options, OpRun& run) {
  Random random(sizes.num_tokens * 157 + sizes.num_q_heads + sizes.head_dim);
  const int64_t n = sizes.num_tokens;
  const int64_t d = sizes.head_dim;
  const int64_t width = (sizes.num_q_heads + 2 * sizes.num_kv_heads) * d;
  std::vector<float> cos_sin(n * d);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < d / 2; ++c) {
      const double angle = 6.3 * random.NextDouble();
      cos_sin[i * d + c] = static_cast<float>(std::cos(angle));
      cos_sin[i * d + d / 2 + c] = static_cast<float>(std::sin(angle));
    }
  }
  StoreQkvParams params;
  params.qkv = run.Input(run.activation(), {n, width}, Gaussian(random, n * width));
  params.cos_sin = run.Input(DType::kF32, {n, d}, cos_sin);
  if (options.q_norm) params.q_norm_weight = run.Input(DType::kF32, {d}, Gaussian(random, d));
  if (options.k_norm) params.k_norm_weight = run.Input(DType::kF32, {d}, Gaussian(random, d));
  params.norm_epsilon = 1e-6f;
  if (sizes.num_q_heads > 0) {
    params.q = run.Output("q", run.activation(), {n, sizes.num_q_heads, d});
  }
  const int64_t head_stride = (n + options.spare_entries) * d;
  params.keys = run.Output("keys", run.kv(), {sizes.num_kv_heads, n, d}, head_stride);
  params.values = run.Output("values", run.kv(), {sizes.num_kv_heads, n, d}, head_stride);
  run.SetOperation([params](Backend& backend) { backend.StoreQkv(params); },
                   3.0 * static_cast<double>(n * (width - sizes.num_kv_heads * d)));
}

OpCase StoreQkvCase(const QkvSizes& sizes, const QkvOptions& options = {}) {
  std::string name = Label({{"tokens", sizes.num_tokens},
                            {"q", sizes.num_q_heads},
                            {"kv", sizes.num_kv_heads},
                            {"dim", sizes.head_dim},
                            {"spare", options.spare_entries}});
  if (options.q_norm) name += "_qnorm";
  if (options.k_norm) name += "_knorm";
  return {"StoreQkv", name, [sizes, options](OpRun& run) { SetUpStoreQkv(sizes, options, run); }};
}

}  // namespace

void AddRopeCases(std::vector<OpCase>& cases) {
  cases.push_back(RopeTableCase(0, 64, 1));
  cases.push_back(RopeTableCase(1, 64, 1));
  cases.push_back(RopeTableCase(67, 16, 1));
  cases.push_back(RopeTableCase(130, 128, 2000));
  cases.push_back(RopeTableCase(33, 80, 100'000));

  cases.push_back(StoreQkvCase({0, 4, 2, 64}));
  cases.push_back(StoreQkvCase({1, 4, 2, 64}, {.spare_entries = 3}));
  cases.push_back(StoreQkvCase({5, 0, 2, 64}, {.k_norm = true, .spare_entries = 1}));
  cases.push_back(StoreQkvCase({3, 7, 1, 16}));
  cases.push_back(StoreQkvCase({33, 6, 2, 32}, {.q_norm = true, .k_norm = true}));
  cases.push_back(StoreQkvCase({17, 2, 2, 80}, {.spare_entries = 5}));
  cases.push_back(StoreQkvCase({9, 8, 2, 96}, {.q_norm = true}));
  cases.push_back(
      StoreQkvCase({65, 16, 2, 128}, {.q_norm = true, .k_norm = true, .spare_entries = 63}));
}

void AddRopeBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  cases.push_back(RopeTableCase(sizes.num_tokens, 128, 1));
  cases.push_back(StoreQkvCase({1, 32, 8, 128}));
  cases.push_back(StoreQkvCase({sizes.num_tokens, 32, 8, 128}));
  cases.push_back(StoreQkvCase({sizes.num_tokens, 32, 8, 128}, {.q_norm = true, .k_norm = true}));
}

}  // namespace fastkv::op_cases
