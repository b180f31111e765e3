// Rotary embedding: its table, and the step that takes the fused projection apart.
#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/norm.h"
#include "backend/reference/reference_backend.h"

namespace fastkv::reference {
namespace {

// Half-split layout: component c pairs with c + head_dim / 2. `cos_sin` holds the cosines, then the
// sines.
void Rotate(const std::vector<double>& cos_sin, std::vector<double>& head) {
  const size_t half = head.size() / 2;
  for (size_t c = 0; c < half; ++c) {
    const double cosine = cos_sin[c];
    const double sine = cos_sin[half + c];
    const double first = head[c];
    const double second = head[half + c];
    head[c] = first * cosine - second * sine;
    head[half + c] = second * cosine + first * sine;
  }
}

}  // namespace

void ReferenceBackend::RopeTable(const RopeTableParams& params) {
  FASTKV_CHECK(params.inverse_frequencies.dtype() == DType::kF32);
  FASTKV_CHECK(params.cos_sin.dtype() == DType::kF32);
  const int64_t half = params.inverse_frequencies.dim(0);
  FASTKV_CHECK_EQ(params.cos_sin.dim(1), 2 * half);
  const auto* frequencies = params.inverse_frequencies.As<float>();
  for (int64_t i = 0; i < params.cos_sin.dim(0); ++i) {
    std::vector<double> row(2 * half);
    for (int64_t c = 0; c < half; ++c) {
      // Models are trained with this product rounded to float32; at large positions the rounding
      // moves the angle, so it is part of the definition.
      const float angle = static_cast<float>(params.positions[i]) * frequencies[c];
      row[c] = std::cos(static_cast<double>(angle)) * params.attention_factor;
      row[half + c] = std::sin(static_cast<double>(angle)) * params.attention_factor;
    }
    StoreRow(params.cos_sin, row, i);
  }
}

void ReferenceBackend::StoreQkv(const StoreQkvParams& params) {
  const int64_t num_tokens = params.qkv.dim(0);
  const int64_t head_dim = params.keys.dim(2);
  const int64_t num_kv_heads = params.keys.dim(0);
  const int64_t num_q_heads = params.q.empty() ? 0 : params.q.dim(1);
  FASTKV_CHECK(params.qkv.dtype() == types_.activation);
  FASTKV_CHECK(params.keys.dtype() == types_.kv);
  FASTKV_CHECK(params.values.dtype() == types_.kv);
  FASTKV_CHECK_EQ(params.qkv.dim(1), (num_q_heads + 2 * num_kv_heads) * head_dim);
  FASTKV_CHECK_EQ(params.keys.dim(1), num_tokens);
  FASTKV_CHECK_EQ(params.values.dim(1), num_tokens);

  std::vector<double> q_norm_weight;
  std::vector<double> k_norm_weight;
  if (!params.q_norm_weight.empty()) q_norm_weight = LoadRow(params.q_norm_weight);
  if (!params.k_norm_weight.empty()) k_norm_weight = LoadRow(params.k_norm_weight);

  for (int64_t i = 0; i < num_tokens; ++i) {
    const std::vector<double> qkv = LoadRow(params.qkv, i);
    const std::vector<double> cos_sin = LoadRow(params.cos_sin, i);
    auto next = qkv.begin();
    const auto take_head = [&] {
      std::vector<double> head(next, next + head_dim);
      next += head_dim;
      return head;
    };
    for (int64_t h = 0; h < num_q_heads; ++h) {
      std::vector<double> head = take_head();
      if (!q_norm_weight.empty()) NormalizeRow(q_norm_weight, params.norm_epsilon, head);
      Rotate(cos_sin, head);
      StoreRow(params.q, head, i, h);
    }
    for (int64_t a = 0; a < num_kv_heads; ++a) {
      std::vector<double> head = take_head();
      if (!k_norm_weight.empty()) NormalizeRow(k_norm_weight, params.norm_epsilon, head);
      Rotate(cos_sin, head);
      StoreRow(params.keys, head, a, i);
    }
    for (int64_t a = 0; a < num_kv_heads; ++a) StoreRow(params.values, take_head(), a, i);
  }
}

}  // namespace fastkv::reference
