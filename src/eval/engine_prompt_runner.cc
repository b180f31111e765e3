#include "eval/engine_prompt_runner.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "engine/model_shape.h"
#include "engine/plan_cost.h"
#include "engine/stop_strings.h"
#include "method/method.h"

namespace fastkv {
namespace {

std::string FinishText(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndToken:
      return "end_token";
    case FinishReason::kMaxNewTokens:
      return "max_new_tokens";
    case FinishReason::kContextFull:
      return "context_full";
    case FinishReason::kStoppedByCaller:
      return "stop_text";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace

std::vector<Result<PromptAnswer>> EnginePromptRunner::Answer(
    const EvalSample& sample, std::span<const EvalRun> runs,
    const std::function<void(double)>& on_progress) {
  const auto num_tokens = static_cast<int64_t>(sample.ids.size());
  const double total_cost = Cost(num_tokens, runs);
  double done_cost = 0;
  std::vector<Result<PromptAnswer>> answers;
  for (const EvalRun& run : runs) {
    const double cost = Cost(num_tokens, {&run, 1});
    answers.push_back(AnswerOne(sample, run, [&](double share) {
      if (on_progress) on_progress((done_cost + share * cost) / total_cost);
    }));
    done_cost += cost;
  }
  return answers;
}

double EnginePromptRunner::Cost(int64_t prompt_tokens, std::span<const EvalRun> runs) const {
  double cost = 0;
  for (const EvalRun& run : runs) {
    const Result<std::unique_ptr<Method>> method =
        CreateMethod(run.method, ShapeOf(engine_.config()));
    if (!method.ok()) continue;  // the run itself tells
    const Result<PrefillPlan> plan = (*method)->Plan(std::max<int64_t>(1, prompt_tokens));
    if (plan.ok()) cost += FlopsOf(*plan);
  }
  return std::max(cost, 1.0);
}

double EnginePromptRunner::FlopsOf(const PrefillPlan& plan) const {
  return PrefillFlops(engine_.config(), plan, LastLayerRows(plan));
}

Result<PromptAnswer> EnginePromptRunner::AnswerOne(const EvalSample& sample, const EvalRun& run,
                                                   const std::function<void(double)>& on_progress) {
  Session session(engine_);
  FASTKV_RETURN_IF_ERROR(session.Prefill({.ids = sample.ids,
                                          .method = run.method,
                                          .options = {.cancel = cancel_},
                                          .on_progress = [&](const PrefillProgress& progress) {
                                            on_progress(progress.done_flops / progress.total_flops);
                                          }}));
  const PrefillReport& prefill = session.prefill_report();
  PromptAnswer answer;
  answer.kv_bytes = prefill.kv_bytes;
  answer.full_kv_bytes = prefill.full_kv_bytes;
  answer.prefill_flops = FlopsOf(prefill.plan);
  const MethodConfig full{.name = "full"};
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> full_method,
                          CreateMethod(full, ShapeOf(engine_.config())));
  FASTKV_ASSIGN_OR_RETURN(const PrefillPlan full_plan,
                          full_method->Plan(static_cast<int64_t>(sample.ids.size())));
  answer.full_prefill_flops = FlopsOf(full_plan);
  answer.prefill_ms = prefill.prefill_ms;
  FASTKV_RETURN_IF_ERROR(Generate(sample, session, answer));
  return answer;
}

Status EnginePromptRunner::Generate(const EvalSample& sample, Session& session,
                                    PromptAnswer& answer) {
  DecodeRequest request{
      .max_new_tokens = sample.max_new_tokens,
      .end_ids = sample.end_ids.empty() ? EndIdsOf(engine_.generation_config()) : sample.end_ids,
      .cancel = cancel_};
  Tokenizer::StreamingDecoder decoder(tokenizer_, /*skip_special=*/true);
  StopStrings stops(sample.stops);
  request.on_token = [&](int32_t id) {
    if (std::find(request.end_ids.begin(), request.end_ids.end(), id) != request.end_ids.end()) {
      return true;
    }
    answer.output += stops.Push(decoder.Take(id));
    return !stops.stopped();
  };
  if (sample.needs_a_token && request.max_new_tokens > 0) {
    FASTKV_ASSIGN_OR_RETURN(const std::optional<int32_t> first,
                            ForcedFirstToken(sample, request.end_ids, session));
    if (first) {
      FASTKV_RETURN_IF_ERROR(session.Append({&*first, 1}, cancel_));
      answer.output += stops.Push(decoder.Take(*first));
      answer.output_ids.push_back(*first);
      --request.max_new_tokens;
    }
  }
  FASTKV_ASSIGN_OR_RETURN(const DecodeReport decode, session.Decode(request));
  if (decode.finish_reason == FinishReason::kCancelled) return CancelledError("interrupted");
  answer.output += stops.Push(decoder.Finish());
  answer.output += stops.Finish();
  answer.output_ids.insert(answer.output_ids.end(), decode.output_ids.begin(),
                           decode.output_ids.end());
  answer.finish = FinishText(decode.finish_reason);
  answer.decode_ms_per_token = decode.decode_ms_per_token;
  return OkStatus();
}

Result<std::optional<int32_t>> EnginePromptRunner::ForcedFirstToken(
    const EvalSample& sample, std::span<const int32_t> end_ids, const Session& session) const {
  FASTKV_ASSIGN_OR_RETURN(std::vector<float> logits, session.LastLogits());
  const auto ends = [&](int32_t id) {
    if (std::find(end_ids.begin(), end_ids.end(), id) != end_ids.end()) return true;
    const std::string text = tokenizer_.Decode({&id, 1});
    return std::any_of(sample.stops.begin(), sample.stops.end(),
                       [&](const std::string& stop) { return text.find(stop) != text.npos; });
  };
  for (size_t rank = 0; rank < logits.size(); ++rank) {
    const auto best = std::max_element(logits.begin(), logits.end());
    const auto id = static_cast<int32_t>(best - logits.begin());
    if (!ends(id)) return rank == 0 ? std::optional<int32_t>() : std::optional(id);
    *best = -std::numeric_limits<float>::infinity();
  }
  return std::optional<int32_t>();
}

}  // namespace fastkv
