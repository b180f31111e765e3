// StreamingLLM's retention: the first tokens ("attention sinks") and the most recent ones, without
// scores. Source: arXiv 2309.17453, as FastKV's comparison runs it: positions stay as they are and
// nothing is dropped while decoding.
#include <algorithm>
#include <vector>

#include "method/rules.h"

namespace fastkv {
namespace {

class StreamingLlmRule final : public RetentionRule {
 public:
  explicit StreamingLlmRule(const MethodConfig& config) : sinks_(config.sinks) {}

  int64_t TailTokens() const override { return 0; }
  Observation Wanted(int64_t /*tokens*/) const override { return {}; }

  Status SelectEntries(const LayerPlan& layer, LayerObservation& observation,
                       Selection& selection) const override {
    const std::vector<int32_t> kept =
        Kept(layer.tokens_in, layer.kv_len, observation.inputs().protected_tokens);
    for (int64_t head = 0; head < observation.shape().num_kv_heads; ++head) {
      FASTKV_RETURN_IF_ERROR(observation.backend().CopyToDevice(
          selection.kv_indices.Rows(head, head + 1).data(), kept.data(), 4 * layer.kv_len));
    }
    return OkStatus();
  }

 private:
  // Protected tokens, then sinks from the first on, then recent tokens from the last on, until
  // `capacity` of them are kept.
  std::vector<int32_t> Kept(int64_t tokens, int64_t capacity,
                            const std::vector<ColumnSpan>& protected_tokens) const {
    std::vector<bool> is_kept(tokens);
    int64_t room = capacity;
    const auto keep = [&](int64_t token) {
      if (room == 0 || is_kept[token]) return;
      is_kept[token] = true;
      --room;
    };
    for (const ColumnSpan& span : protected_tokens) {
      for (int64_t token = span.begin; token < span.end; ++token) keep(token);
    }
    for (int64_t token = 0; token < std::min(sinks_, tokens); ++token) keep(token);
    for (int64_t token = tokens - 1; token >= 0 && room > 0; --token) keep(token);
    std::vector<int32_t> kept;
    for (int64_t token = 0; token < tokens; ++token) {
      if (is_kept[token]) kept.push_back(static_cast<int32_t>(token));
    }
    return kept;
  }

  int64_t sinks_;
};

}  // namespace

std::unique_ptr<RetentionRule> CreateStreamingLlmRule(const MethodConfig& config,
                                                      const ModelShape& /*shape*/) {
  return std::make_unique<StreamingLlmRule>(config);
}

}  // namespace fastkv
