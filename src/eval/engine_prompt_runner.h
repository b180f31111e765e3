// Runs samples through a loaded model.
#ifndef FASTKV_EVAL_ENGINE_PROMPT_RUNNER_H_
#define FASTKV_EVAL_ENGINE_PROMPT_RUNNER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/cancel.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "eval/prefill_groups.h"
#include "eval/prompt_runner.h"

namespace fastkv {

// Greedy decoding. Runs whose prefill can be shared share it (prefill_groups.h). Of the last sample
// with a context, the compressed caches are kept for further questions about it: each question is
// appended to a fork, so that an answer never hangs on which question came before. Not thread-safe.
class EnginePromptRunner final : public PromptRunner {
 public:
  // Both must outlive it; `cancel` may be null. Every call of Answer has the same runs.
  EnginePromptRunner(const Engine& engine, const Tokenizer& tokenizer, const CancelFlag* cancel)
      : engine_(engine), tokenizer_(tokenizer), cancel_(cancel) {}

  std::vector<Result<PromptAnswer>> Answer(const EvalSample& sample, std::span<const EvalRun> runs,
                                           int64_t num_done,
                                           const std::function<void(double)>& on_progress) override;

  double Cost(int64_t prompt_tokens, std::span<const EvalRun> runs,
              int64_t num_done) const override;

 private:
  struct ReadSessions {
    std::vector<Session> sessions;  // in the order of the methods
    int64_t runs_in_prefill = 1;
  };
  // What the runs of a group answer behind: the prompt, or the context, which may have been read
  // for a sample before.
  Result<std::shared_ptr<ReadSessions>> ReadFor(const EvalSample& sample, const PrefillGroup& group,
                                                std::span<const EvalRun> runs,
                                                const std::function<void(double)>& on_progress);
  // One pass for all methods; one for each where that does not fit into memory.
  Result<ReadSessions> Read(std::span<const int32_t> ids, std::span<const MethodConfig> methods,
                            const std::function<void(double)>& on_progress);
  // Appends the rest of the prompt to a fork of its context.
  Result<PromptAnswer> AnswerBehind(const EvalSample& sample, const Session& context);
  Result<PromptAnswer> AnswerWith(const EvalSample& sample, Session& session);
  Status Generate(const EvalSample& sample, Session& session, PromptAnswer& answer);
  // The best first token that does not end the answer, where the best of all would.
  Result<std::optional<int32_t>> ForcedFirstToken(const EvalSample& sample,
                                                  std::span<const int32_t> end_ids,
                                                  const Session& session) const;
  double FlopsOf(const PrefillPlan& plan) const;
  // Of running `num_tokens` more behind what such a prefill kept.
  double AppendFlops(const PrefillPlan& plan, int64_t num_tokens) const;

  const Engine& engine_;
  const Tokenizer& tokenizer_;
  const CancelFlag* cancel_;
  std::vector<int32_t> context_ids_;
  std::map<size_t, std::shared_ptr<ReadSessions>> contexts_;  // by the first run of the group
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_ENGINE_PROMPT_RUNNER_H_
