// What a user may say about a method; the same for every method, each reads what concerns it. The
// only place where shares stand beside token counts: PrefillPlan turns both into tokens.
#ifndef FASTKV_METHOD_METHOD_CONFIG_H_
#define FASTKV_METHOD_METHOD_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/ops.h"
#include "method/propagation_config.h"

namespace fastkv {

// Either a share of the tokens or a number of them.
struct Budget {
  double rate = 1.0;              // in (0, 1]; used when `tokens` is not set
  std::optional<int64_t> tokens;  // >= 1

  static Budget Rate(double rate) { return {rate, std::nullopt}; }
  static Budget Tokens(int64_t tokens) { return {1.0, tokens}; }

  // A share of `num_tokens` in whole tokens, in double and truncated, as the published code does
  // it.
  static int64_t ShareOf(int64_t num_tokens, double rate) {
    return static_cast<int64_t>(static_cast<double>(num_tokens) * rate);
  }
  int64_t Of(int64_t num_tokens) const { return tokens.value_or(ShareOf(num_tokens, rate)); }
};

// Prompt tokens [begin, end), by original position.
struct PromptSpan {
  int64_t begin = 0;
  int64_t end = 0;
  bool operator==(const PromptSpan&) const = default;
};

// Fields without a comment on ranges are checked by CreateMethod, which names the allowed values.
struct MethodConfig {
  std::string name = "fastkv";
  Budget kv = Budget::Rate(0.1);  // entries kept per layer and KV head
  int64_t min_kv_tokens = 0;      // the least that a share of `kv` comes to (ours, for chats)
  std::optional<Budget> tsp;      // tokens propagated after the TSP layer; not set: TspBudgetOf
  std::optional<int64_t>
      tsp_layer;  // zero-based; not set: the model's profile, else num_layers / 2 - 1

  PropagationConfig propagation;  // which tokens go on, where propagation is on

  std::string retention = "snapkv";  // `fastkv` alone: the retention rule beside TSP
  bool propagate = false;  // a retention rule's own name alone: TSP beside it, as in `fastkv`

  std::optional<int64_t> window;       // observation window, in tokens; not set: WindowOf
  std::optional<int64_t> kernel;       // pooling width, odd; not set: KernelOf
  std::optional<PoolingKind> pooling;  // not set: PoolingOf

  int64_t sinks = 4;                    // streamingllm, expected-attention: first tokens kept
  std::optional<int64_t> filter_layer;  // gemfilter; not set: as the TSP layer
  double recent_ratio = 0.2;            // pyramidinfer: share of the prompt never dropped
  double decay_ratio = 0.7;             // pyramidinfer: what its falling share tends to
  bool decode_eviction = true;          // pyramidinfer: drop entries while decoding too
  int64_t pyramid_beta = 20;            // pyramidkv: steepness of the budget's fall
  double adakv_alpha = 0.2;        // adakv, peakkv: share of the budget every head has for sure
  int64_t future_positions = 512;  // expected-attention: positions averaged over

  // Protected tokens are kept in every layer and head and go through every layer, inside the
  // budget; a budget too small for them is an error. What lies behind the prompt's end is ignored.
  int64_t protect_first = 0;
  int64_t protect_last = 0;
  std::vector<PromptSpan> protect;  // in any order, may overlap
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
