// What a method will do with a prompt, in integers, known before any arithmetic: the table that
// memory is reserved from, progress is told from, and results are compared with.
#ifndef FASTKV_METHOD_PREFILL_PLAN_H_
#define FASTKV_METHOD_PREFILL_PLAN_H_

#include <cstdint>
#include <vector>

namespace fastkv {

// What a method must see of a layer to select from it. Bits may be combined.
enum class Observation : uint32_t {
  kNone = 0,
  kWindowScores = 1,  // attention of the last `window` rows, docs/methods.md
};

struct LayerPlan {
  int64_t tokens_in = 0;   // tokens that this layer receives
  int64_t kv_len = 0;      // entries that its cache keeps per KV head
  int64_t tokens_out = 0;  // tokens that go on after it; fewer than tokens_in only at a cut
  Observation observation = Observation::kNone;

  bool keeps_all() const { return kv_len == tokens_in; }
  bool cuts() const { return tokens_out < tokens_in; }
};

struct PrefillPlan {
  int64_t prompt_tokens = 0;
  int64_t window = 0;  // rows of the observation window; 0 where no layer is observed
  std::vector<LayerPlan> layers;

  // The layer after which fewer tokens go on, or -1.
  int64_t CutLayer() const {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i].cuts()) return static_cast<int64_t>(i);
    }
    return -1;
  }
};

}  // namespace fastkv

#endif  // FASTKV_METHOD_PREFILL_PLAN_H_
