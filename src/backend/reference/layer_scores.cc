// What retention rules see of a layer's entries beside the window scores: attention received from
// all rows, the geometry of the keys, and the attention that later queries are expected to pay.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/reference/elements.h"
#include "backend/reference/norm.h"
#include "backend/reference/reference_backend.h"

namespace fastkv::reference {
namespace {

using Rows = std::vector<std::vector<double>>;

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  FASTKV_CHECK_EQ(a.size(), b.size());
  double sum = 0;
  for (size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
  return sum;
}

double Norm(const std::vector<double>& x) { return std::sqrt(Dot(x, x)); }

// The rows of one head of [num_heads, num_rows, head_dim].
Rows LoadHead(const ConstTensorView& view, int64_t head) {
  Rows rows;
  for (int64_t j = 0; j < view.dim(1); ++j) rows.push_back(LoadRow(view, head, j));
  return rows;
}

// p = softmax(p).
void Softmax(std::vector<double>& p) {
  if (p.empty()) return;
  const double largest = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& value : p) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (double& value : p) value /= sum;
}

void CheckKeyScores(const ConstTensorView& keys, const TensorView& out, DType kv) {
  FASTKV_CHECK(keys.dtype() == kv);
  FASTKV_CHECK(out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(out.dim(0), keys.dim(0));
  FASTKV_CHECK_EQ(out.dim(1), keys.dim(1));
}

}  // namespace

void ReferenceBackend::ColumnScores(const ColumnScoresParams& params) {
  const int64_t q_len = params.q.dim(0);
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  CheckKeyScores(params.keys, params.out, types_.kv);
  FASTKV_CHECK(params.q.dtype() == types_.activation);
  FASTKV_CHECK(params.log_sum_exp.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.log_sum_exp.dim(0), q_len);
  FASTKV_CHECK_EQ(params.log_sum_exp.dim(1), num_q_heads);
  FASTKV_CHECK(params.window == 0 || params.q_start + q_len <= kv_len);
  const int64_t group_size = num_q_heads / num_kv_heads;
  std::vector<double> row_weights(q_len, 1.0);
  if (!params.row_weights.empty()) row_weights = LoadRow(params.row_weights);
  FASTKV_CHECK_EQ(row_weights.size(), q_len);

  for (int64_t a = 0; a < num_kv_heads; ++a) {
    const Rows keys = LoadHead(params.keys, a);
    std::vector<double> sums = LoadRow(params.out, a);
    for (int64_t i = 0; i < q_len; ++i) {
      const int64_t own_entry = params.q_start + i;
      const int64_t num_visible = std::min(kv_len, own_entry + 1);
      const std::vector<double> log_sum_exp = LoadRow(params.log_sum_exp, i);
      for (int64_t h = a * group_size; h < (a + 1) * group_size; ++h) {
        const std::vector<double> query = LoadRow(params.q, i, h);
        for (int64_t j = 0; j < num_visible; ++j) {
          if (params.window > 0 &&
              params.positions[own_entry] - params.positions[j] >= params.window) {
            continue;
          }
          sums[j] += row_weights[i] * std::exp(params.scale * Dot(query, keys[j]) - log_sum_exp[h]);
        }
      }
    }
    StoreRow(params.out, sums, a);
  }
}

void ReferenceBackend::QueryScores(const QueryScoresParams& params) {
  const int64_t num_q_heads = params.q.dim(1);
  const int64_t num_kv_heads = params.keys.dim(0);
  FASTKV_CHECK(params.q.dtype() == types_.activation);
  FASTKV_CHECK(params.keys.dtype() == types_.kv);
  FASTKV_CHECK(params.out.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(params.q.dim(0), 1);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.out.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.out.dim(1), params.keys.dim(1));
  const int64_t group_size = num_q_heads / num_kv_heads;
  for (int64_t h = 0; h < num_q_heads; ++h) {
    const std::vector<double> query = LoadRow(params.q, 0, h);
    std::vector<double> scores;
    for (int64_t j = 0; j < params.keys.dim(1); ++j) {
      scores.push_back(params.scale * Dot(query, LoadRow(params.keys, h / group_size, j)));
    }
    StoreRow(params.out, scores, h);
  }
}

void ReferenceBackend::KeyNormScores(const KeyNormScoresParams& params) {
  CheckKeyScores(params.keys, params.out, types_.kv);
  for (int64_t a = 0; a < params.keys.dim(0); ++a) {
    std::vector<double> scores;
    for (const std::vector<double>& key : LoadHead(params.keys, a)) scores.push_back(-Norm(key));
    StoreRow(params.out, scores, a);
  }
}

void ReferenceBackend::KeyDiffScores(const KeyDiffScoresParams& params) {
  CheckKeyScores(params.keys, params.out, types_.kv);
  for (int64_t a = 0; a < params.keys.dim(0); ++a) {
    const Rows keys = LoadHead(params.keys, a);
    // The mean's divisor does not change a cosine.
    std::vector<double> anchor(params.keys.dim(2), 0.0);
    for (const std::vector<double>& key : keys) {
      const double norm = Norm(key);
      if (norm == 0) continue;
      for (size_t c = 0; c < key.size(); ++c) anchor[c] += key[c] / norm;
    }
    const double anchor_norm = Norm(anchor);
    std::vector<double> scores;
    for (const std::vector<double>& key : keys) {
      const double norms = Norm(key) * anchor_norm;
      scores.push_back(norms > 0 ? -Dot(key, anchor) / norms : 0.0);
    }
    StoreRow(params.out, scores, a);
  }
}

void ReferenceBackend::QueryMoments(const QueryMomentsParams& params) {
  const int64_t num_q_heads = params.sum.dim(0);
  const int64_t head_dim = params.sum.dim(1);
  FASTKV_CHECK(params.qkv.dtype() == types_.activation);
  FASTKV_CHECK(params.sum.dtype() == DType::kF32);
  FASTKV_CHECK(params.products.dtype() == DType::kF32);
  FASTKV_CHECK_LE(num_q_heads * head_dim, params.qkv.dim(1));
  FASTKV_CHECK_EQ(params.products.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.products.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.products.dim(2), head_dim);
  std::vector<double> norm_weight;
  if (!params.q_norm_weight.empty()) norm_weight = LoadRow(params.q_norm_weight);
  for (int64_t h = 0; h < num_q_heads; ++h) {
    const ConstTensorView queries = params.qkv.Slice(1, h * head_dim, (h + 1) * head_dim);
    std::vector<double> sum = LoadRow(params.sum, h);
    Rows products = LoadHead(params.products, h);
    for (int64_t i = 0; i < queries.dim(0); ++i) {
      std::vector<double> query = LoadRow(queries, i);
      if (!norm_weight.empty()) NormalizeRow(norm_weight, params.norm_epsilon, query);
      for (int64_t c = 0; c < head_dim; ++c) {
        sum[c] += query[c];
        for (int64_t e = 0; e < head_dim; ++e) products[c][e] += query[c] * query[e];
      }
    }
    StoreRow(params.sum, sum, h);
    for (int64_t c = 0; c < head_dim; ++c) StoreRow(params.products, products[c], h, c);
  }
}

void ReferenceBackend::ExpectedAttentionScores(const ExpectedAttentionScoresParams& params) {
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t kv_len = params.keys.dim(1);
  const int64_t head_dim = params.keys.dim(2);
  const int64_t num_q_heads = params.mean.dim(0);
  CheckKeyScores(params.keys, params.out, types_.kv);
  FASTKV_CHECK(params.values.dtype() == types_.kv);
  FASTKV_CHECK(params.mean.dtype() == DType::kF32);
  FASTKV_CHECK(params.covariance.dtype() == DType::kF32);
  FASTKV_CHECK_EQ(num_q_heads % num_kv_heads, 0);
  FASTKV_CHECK_EQ(params.covariance.dim(0), num_q_heads);
  FASTKV_CHECK_EQ(params.covariance.dim(1), head_dim);
  FASTKV_CHECK_EQ(params.covariance.dim(2), head_dim);
  FASTKV_CHECK_LE(0, params.num_sinks);
  const int64_t group_size = num_q_heads / num_kv_heads;
  const int64_t num_sinks = std::min(params.num_sinks, kv_len);
  const double scale = params.scale;

  for (int64_t a = 0; a < num_kv_heads; ++a) {
    const Rows keys = LoadHead(params.keys, a);
    std::vector<double> scores(kv_len, 0.0);
    for (int64_t h = a * group_size; h < (a + 1) * group_size; ++h) {
      const std::vector<double> mean = LoadRow(params.mean, h);
      const Rows covariance = LoadHead(params.covariance, h);
      std::vector<double> p;
      for (int64_t j = num_sinks; j < kv_len; ++j) {
        double variance = 0;
        for (int64_t c = 0; c < head_dim; ++c) variance += keys[j][c] * Dot(covariance[c], keys[j]);
        p.push_back(scale * Dot(keys[j], mean) + scale * scale / 2 * variance);
      }
      Softmax(p);
      for (int64_t j = num_sinks; j < kv_len; ++j) {
        scores[j] += p[j - num_sinks] / static_cast<double>(group_size);
      }
    }
    for (int64_t j = 0; j < kv_len; ++j) {
      scores[j] = j < num_sinks ? std::numeric_limits<float>::max()
                                : scores[j] * Norm(LoadRow(params.values, a, j));
    }
    StoreRow(params.out, scores, a);
  }
}

}  // namespace fastkv::reference
