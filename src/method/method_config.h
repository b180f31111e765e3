// What a user may say about a method; the same for every method, each reads what concerns it. The
// only place where shares stand beside token counts: PrefillPlan turns both into tokens.
#ifndef FASTKV_METHOD_METHOD_CONFIG_H_
#define FASTKV_METHOD_METHOD_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "backend/ops.h"

namespace fastkv {

// Either a share of the tokens or a number of them.
struct Budget {
  double rate = 1.0;              // in (0, 1]; used when `tokens` is not set
  std::optional<int64_t> tokens;  // >= 1

  static Budget Rate(double rate) { return {rate, std::nullopt}; }
  static Budget Tokens(int64_t tokens) { return {1.0, tokens}; }
};

struct MethodConfig {
  std::string name = "fastkv";
  Budget kv = Budget::Rate(0.1);   // entries kept per layer and KV head
  Budget tsp = Budget::Rate(0.2);  // tokens propagated after the TSP layer
  std::optional<int64_t>
      tsp_layer;  // zero-based; not set: the model's profile, else num_layers / 2 - 1

  int64_t window = 8;  // observation window, in tokens
  int64_t kernel = 7;  // pooling width, odd
  PoolingKind pooling = PoolingKind::kMax;
};

// The sizes of a model that methods depend on.
struct ModelShape {
  int64_t num_layers = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_METHOD_CONFIG_H_
