// What is computed from a layer's keys and queries beside attention: raw scores, the geometry of
// the keys, moments of the queries, expected attention.
#include <algorithm>
#include <cmath>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

struct KeySizes {
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t kv_len = 0;
  int64_t spare_entries = 0;  // room behind each head's entries
};

std::string KeyLabel(const KeySizes& sizes) {
  return Label({{"q", sizes.num_q_heads},
                {"kv", sizes.num_kv_heads},
                {"dim", sizes.head_dim},
                {"entries", sizes.kv_len},
                {"spare", sizes.spare_entries}});
}

ConstTensorView KvInput(const KeySizes& sizes, const std::vector<float>& values, OpRun& run) {
  return run.Input(run.kv(), {sizes.num_kv_heads, sizes.kv_len, sizes.head_dim}, values,
                   (sizes.kv_len + sizes.spare_entries) * sizes.head_dim);
}

TensorView ScoreOutput(const KeySizes& sizes, int64_t num_rows, OpRun& run) {
  return run.Output("out", DType::kF32, {num_rows, sizes.kv_len},
                    sizes.kv_len + sizes.spare_entries);
}

OpCase QueryScoresCase(const KeySizes& sizes) {
  return {"QueryScores", KeyLabel(sizes), [sizes](OpRun& run) {
            Random random(sizes.kv_len * 223 + sizes.head_dim);
            const int64_t count = sizes.num_kv_heads * sizes.kv_len * sizes.head_dim;
            QueryScoresParams params;
            params.q = run.Input(run.activation(), {1, sizes.num_q_heads, sizes.head_dim},
                                 Gaussian(random, sizes.num_q_heads * sizes.head_dim));
            params.keys = KvInput(sizes, Gaussian(random, count), run);
            params.scale = 0.37f;
            params.out = ScoreOutput(sizes, sizes.num_q_heads, run);
            run.SetOperation(
                [params](Backend& backend) { backend.QueryScores(params); },
                2.0 * static_cast<double>(sizes.num_q_heads * sizes.kv_len * sizes.head_dim));
          }};
}

enum class Keys { kMixed, kZero, kOpposite };

constexpr const char* KeysName(Keys kind) {
  return kind == Keys::kMixed ? "mixed_" : kind == Keys::kZero ? "zero_" : "opposite_";
}

std::vector<float> MakeKeys(Keys kind, const KeySizes& sizes, Random& random) {
  const int64_t d = sizes.head_dim;
  const int64_t count = sizes.num_kv_heads * sizes.kv_len * d;
  if (kind == Keys::kZero) return std::vector<float>(count, 0.0f);
  // A direction that all keys share, as those of a trained model do.
  const std::vector<float> shared = Gaussian(random, d);
  std::vector<float> keys = Gaussian(random, count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t entry = i / d % std::max<int64_t>(1, sizes.kv_len);
    keys[i] += shared[i % d];
    if (kind == Keys::kOpposite) {
      // Exactly as many entries point one way as the other.
      if (entry % 2 == 1) keys[i] = -keys[i - d];
    } else {
      constexpr float kScales[] = {1, 0, 1e4f, 1e-4f};  // one zero key, a long and a short one
      if (entry < 4) keys[i] *= kScales[entry];
    }
  }
  return keys;
}

template <typename Params>
OpCase KeyGeometryCase(const char* op, void (Backend::*function)(const Params&), Keys kind,
                       const KeySizes& sizes) {
  return {op, KeysName(kind) + KeyLabel(sizes), [=](OpRun& run) {
            Random random(sizes.kv_len * 227 + sizes.head_dim);
            Params params;
            params.keys = KvInput(sizes, MakeKeys(kind, sizes, random), run);
            params.out = ScoreOutput(sizes, sizes.num_kv_heads, run);
            run.SetOperation(
                [params, function](Backend& backend) { (backend.*function)(params); },
                2.0 * static_cast<double>(sizes.num_kv_heads * sizes.kv_len * sizes.head_dim));
          }};
}

OpCase KeyNormCase(Keys kind, const KeySizes& sizes) {
  return KeyGeometryCase("KeyNormScores", &Backend::KeyNormScores, kind, sizes);
}
OpCase KeyDiffCase(Keys kind, const KeySizes& sizes) {
  return KeyGeometryCase("KeyDiffScores", &Backend::KeyDiffScores, kind, sizes);
}

struct MomentSizes {
  int64_t num_tokens = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
};

OpCase QueryMomentsCase(const MomentSizes& sizes, bool norm, int64_t padding) {
  std::string name = Label({{"tokens", sizes.num_tokens},
                            {"q", sizes.num_q_heads},
                            {"kv", sizes.num_kv_heads},
                            {"dim", sizes.head_dim},
                            {"padding", padding}});
  if (norm) name += "_norm";
  return {"QueryMoments", name, [=](OpRun& run) {
            Random random(sizes.num_tokens * 229 + sizes.head_dim);
            const int64_t d = sizes.head_dim;
            const int64_t width = (sizes.num_q_heads + 2 * sizes.num_kv_heads) * d;
            QueryMomentsParams params;
            params.qkv = run.Input(run.activation(), {sizes.num_tokens, width},
                                   Gaussian(random, sizes.num_tokens * width), width + padding);
            if (norm) params.q_norm_weight = run.Input(DType::kF32, {d}, Gaussian(random, d));
            params.norm_epsilon = 1e-6f;
            params.sum = run.Output("sum", DType::kF32, {sizes.num_q_heads, d}, 0,
                                    Gaussian(random, sizes.num_q_heads * d));
            params.products = run.Output("products", DType::kF32, {sizes.num_q_heads, d, d}, 0,
                                         Gaussian(random, sizes.num_q_heads * d * d));
            const auto elements = static_cast<double>(sizes.num_tokens * sizes.num_q_heads * d);
            const double kv_elements =
                static_cast<double>(sizes.num_tokens * 2 * sizes.num_kv_heads * d);
            run.SetOperation([params](Backend& backend) { backend.QueryMoments(params); },
                             2.0 * elements * static_cast<double>(d),
                             -kv_elements * static_cast<double>(DTypeBytes(run.activation())));
          }};
}

// [num_heads, dim, dim], symmetric and positive: A A^T / dim for a random A. Every head of a large
// model gets the matrix of the first: only benchmarks are that large.
std::vector<float> Covariances(Random& random, int64_t num_heads, int64_t dim) {
  constexpr int64_t kMaxDistinct = 8;
  std::vector<float> covariances;
  for (int64_t h = 0; h < num_heads; ++h) {
    if (h >= kMaxDistinct) {
      covariances.insert(covariances.end(), covariances.begin(), covariances.begin() + dim * dim);
      continue;
    }
    const std::vector<float> a = Gaussian(random, dim * dim);
    for (int64_t c = 0; c < dim; ++c) {
      for (int64_t e = 0; e < dim; ++e) {
        float sum = 0;
        for (int64_t k = 0; k < dim; ++k) sum += a[c * dim + k] * a[e * dim + k];
        covariances.push_back(sum / static_cast<float>(dim));
      }
    }
  }
  return covariances;
}

OpCase ExpectedAttentionCase(const KeySizes& sizes, int64_t num_sinks, int64_t deviation = 1) {
  std::string name = KeyLabel(sizes) + Label({{"_sinks", num_sinks}});
  if (deviation != 1) name += Label({{"_deviation", deviation}});
  return {
      "ExpectedAttentionScores", name, [=](OpRun& run) {
        Random random(sizes.kv_len * 233 + sizes.head_dim);
        const int64_t d = sizes.head_dim;
        const int64_t count = sizes.num_kv_heads * sizes.kv_len * d;
        ExpectedAttentionScoresParams params;
        params.keys =
            KvInput(sizes, Gaussian(random, count, std::sqrt(static_cast<float>(deviation))), run);
        params.values = KvInput(sizes, Gaussian(random, count), run);
        params.mean = run.Input(
            DType::kF32, {sizes.num_q_heads, d},
            Gaussian(random, sizes.num_q_heads * d, std::sqrt(static_cast<float>(deviation))));
        params.covariance = run.Input(DType::kF32, {sizes.num_q_heads, d, d},
                                      Covariances(random, sizes.num_q_heads, d));
        params.scale = 1 / std::sqrt(static_cast<float>(d));
        params.num_sinks = num_sinks;
        params.out = ScoreOutput(sizes, sizes.num_kv_heads, run);
        run.SetOperation([params](Backend& backend) { backend.ExpectedAttentionScores(params); },
                         2.0 * static_cast<double>(sizes.num_q_heads * sizes.kv_len * d * d));
      }};
}

}  // namespace

void AddLayerScoreCases(std::vector<OpCase>& cases) {
  for (int64_t kv_len : {0, 1, 2, 63, 65, 1003}) {
    cases.push_back(QueryScoresCase({4, 2, 64, kv_len, 0}));
    cases.push_back(KeyNormCase(Keys::kMixed, {2, 2, 64, kv_len, 3}));
    cases.push_back(KeyDiffCase(Keys::kMixed, {2, 2, 64, kv_len, 3}));
  }
  // 18 and 20 are no multiples of what a GPU reads at once.
  for (int64_t head_dim : {16, 18, 20, 32, 80, 96, 128, 256}) {
    cases.push_back(QueryScoresCase({6, 2, head_dim, 131, 5}));
    cases.push_back(KeyNormCase(Keys::kMixed, {3, 3, head_dim, 131, 0}));
    cases.push_back(KeyDiffCase(Keys::kMixed, {3, 3, head_dim, 131, 0}));
  }
  for (int64_t group_size : {1, 7, 8, 9, 17}) {
    cases.push_back(QueryScoresCase({2 * group_size, 2, 64, 70, 1}));
  }
  cases.push_back(KeyNormCase(Keys::kZero, {2, 2, 64, 40, 0}));
  cases.push_back(KeyDiffCase(Keys::kZero, {2, 2, 64, 40, 0}));
  cases.push_back(KeyDiffCase(Keys::kOpposite, {2, 2, 64, 2, 0}));
  cases.push_back(KeyDiffCase(Keys::kMixed, {2, 2, 16, 5000, 0}));

  for (int64_t num_tokens : {0, 1, 2, 63, 257}) {
    cases.push_back(QueryMomentsCase({num_tokens, 3, 1, 64}, false, 0));
    cases.push_back(QueryMomentsCase({num_tokens, 2, 2, 128}, true, 8));
  }
  for (int64_t head_dim : {16, 18, 32, 80, 96, 256}) {
    cases.push_back(QueryMomentsCase({67, 4, 2, head_dim}, head_dim % 32 == 0, 3));
  }
  cases.push_back(QueryMomentsCase({2051, 2, 1, 32}, false, 0));

  for (int64_t kv_len : {0, 1, 3, 4, 5, 63, 65, 1003}) {
    cases.push_back(ExpectedAttentionCase({4, 2, 64, kv_len, 0}, 4));
  }
  for (int64_t head_dim : {16, 18, 20, 32, 80, 96, 128, 256}) {
    cases.push_back(ExpectedAttentionCase({4, 2, head_dim, 131, 3}, 4));
  }
  for (int64_t group_size : {1, 3, 7, 8}) {
    cases.push_back(ExpectedAttentionCase({2 * group_size, 2, 32, 90, 1}, 0));
  }
  cases.push_back(ExpectedAttentionCase({2, 1, 64, 300, 0}, 1));
  cases.push_back(ExpectedAttentionCase({2, 1, 64, 300, 0}, 4, 20));
  cases.push_back(ExpectedAttentionCase({2, 1, 64, 40, 0}, 50));
}

void AddLayerScoreBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  cases.push_back(QueryScoresCase({32, 8, 128, sizes.kv_len, 0}));
  cases.push_back(KeyNormCase(Keys::kMixed, {8, 8, 128, sizes.kv_len, 0}));
  cases.push_back(KeyDiffCase(Keys::kMixed, {8, 8, 128, sizes.kv_len, 0}));
  cases.push_back(QueryMomentsCase({sizes.num_tokens, 32, 8, 128}, false, 0));
  cases.push_back(QueryMomentsCase({sizes.num_tokens, 32, 8, 128}, true, 0));
  cases.push_back(ExpectedAttentionCase({32, 8, 128, sizes.kv_len, 0}, 4));
}

}  // namespace fastkv::op_cases
