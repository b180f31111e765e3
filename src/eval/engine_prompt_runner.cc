#include "eval/engine_prompt_runner.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "base/clock.h"
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
    const EvalSample& sample, std::span<const EvalRun> runs, int64_t num_done,
    const std::function<void(double)>& on_progress) {
  const auto num_tokens = static_cast<int64_t>(sample.ids.size());
  const double total_cost = Cost(num_tokens, runs, num_done);
  double done_cost = 0;
  const auto first = static_cast<size_t>(num_done);
  std::vector<std::optional<Result<PromptAnswer>>> answers(runs.size());
  for (const PrefillGroup& group :
       GroupRuns(engine_.config(), runs, num_tokens, sample.context_tokens)) {
    if (group.runs.back() < first) continue;
    const auto read = ReadFor(sample, group, runs, [&](double share) {
      const double done = (done_cost + share * group.flops) / total_cost;
      if (on_progress) on_progress(std::min(done, 1.0));
    });
    for (size_t i = 0; i < group.runs.size(); ++i) {
      if (group.runs[i] < first) continue;
      std::optional<Result<PromptAnswer>>& answer = answers[group.runs[i]];
      if (!read.ok()) {
        answer.emplace(read.status());
        continue;
      }
      ReadSessions& prefill = **read;
      answer.emplace(group.reads_context ? AnswerBehind(sample, prefill.sessions[i])
                                         : AnswerWith(sample, prefill.sessions[i]));
      if (answer->ok()) answer->value().runs_in_prefill = prefill.runs_in_prefill;
    }
    done_cost += group.flops;
  }
  std::vector<Result<PromptAnswer>> wanted;
  for (size_t i = first; i < answers.size(); ++i) wanted.push_back(*std::move(answers[i]));
  return wanted;
}

double EnginePromptRunner::Cost(int64_t prompt_tokens, std::span<const EvalRun> runs,
                                int64_t num_done) const {
  double cost = 0;
  for (const PrefillGroup& group :
       GroupRuns(engine_.config(), runs, prompt_tokens, /*context_tokens=*/0)) {
    if (group.runs.back() >= static_cast<size_t>(num_done)) cost += group.flops;
  }
  return std::max(cost, 1.0);
}

Result<std::shared_ptr<EnginePromptRunner::ReadSessions>> EnginePromptRunner::ReadFor(
    const EvalSample& sample, const PrefillGroup& group, std::span<const EvalRun> runs,
    const std::function<void(double)>& on_progress) {
  std::span<const int32_t> ids = sample.ids;
  if (group.reads_context) {
    ids = ids.first(static_cast<size_t>(sample.context_tokens));
    if (!std::equal(ids.begin(), ids.end(), context_ids_.begin(), context_ids_.end())) {
      contexts_.clear();
      context_ids_.assign(ids.begin(), ids.end());
    }
    const auto held = contexts_.find(group.runs.front());
    if (held != contexts_.end()) return held->second;
  }
  std::vector<MethodConfig> methods;
  for (const size_t run : group.runs) methods.push_back(runs[run].method);
  FASTKV_ASSIGN_OR_RETURN(ReadSessions read, Read(ids, methods, on_progress));
  auto shared = std::make_shared<ReadSessions>(std::move(read));
  if (group.reads_context) contexts_[group.runs.front()] = shared;
  return shared;
}

Result<EnginePromptRunner::ReadSessions> EnginePromptRunner::Read(
    std::span<const int32_t> ids, std::span<const MethodConfig> methods,
    const std::function<void(double)>& on_progress) {
  const auto read = [&](std::span<const MethodConfig> some) {
    return Session::PrefillTogether(engine_,
                                    {.ids = ids,
                                     .methods = {some.begin(), some.end()},
                                     .options = {.cancel = cancel_},
                                     .on_progress = [&](const PrefillProgress& progress) {
                                       on_progress(progress.done_flops / progress.total_flops);
                                     }});
  };
  Result<std::vector<Session>> together = read(methods);
  if (together.status().code() == StatusCode::kMemory && !contexts_.empty()) {
    // What fits must not depend on the samples before.
    contexts_.clear();
    together = read(methods);
  }
  if (together.ok()) {
    return ReadSessions{.sessions = std::move(together).value(),
                        .runs_in_prefill = static_cast<int64_t>(methods.size())};
  }
  const StatusCode code = together.status().code();
  if (methods.size() == 1 || (code != StatusCode::kMemory && code != StatusCode::kUnsupported)) {
    return together.status();
  }
  ReadSessions read_alone;
  for (const MethodConfig& method : methods) {
    FASTKV_ASSIGN_OR_RETURN(std::vector<Session> alone, read({&method, 1}));
    read_alone.sessions.push_back(std::move(alone.front()));
  }
  return read_alone;
}

Result<PromptAnswer> EnginePromptRunner::AnswerWith(const EvalSample& sample, Session& session) {
  const PrefillReport& prefill = session.prefill_report();
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> full,
                          CreateMethod({.name = "full"}, ShapeOf(engine_.config())));
  FASTKV_ASSIGN_OR_RETURN(const PrefillPlan full_plan,
                          full->Plan(static_cast<int64_t>(sample.ids.size())));
  const int64_t context_tokens = prefill.plan.prompt_tokens;
  const int64_t num_appended = static_cast<int64_t>(sample.ids.size()) - context_tokens;
  const int64_t appended_bytes = prefill.full_kv_bytes / context_tokens * num_appended;
  PromptAnswer answer;
  answer.kv_bytes = prefill.kv_bytes + appended_bytes;
  answer.full_kv_bytes = prefill.full_kv_bytes + appended_bytes;
  answer.prefill_flops = FlopsOf(prefill.plan) + AppendFlops(prefill.plan, num_appended);
  answer.full_prefill_flops = FlopsOf(full_plan);
  answer.prefill_ms = prefill.prefill_ms;
  FASTKV_RETURN_IF_ERROR(Generate(sample, session, answer));
  return answer;
}

Result<PromptAnswer> EnginePromptRunner::AnswerBehind(const EvalSample& sample,
                                                      const Session& context) {
  const double start_ms = SystemClock().NowMs();
  FASTKV_ASSIGN_OR_RETURN(Session session, context.Fork());
  const auto question = std::span(sample.ids).subspan(static_cast<size_t>(sample.context_tokens));
  FASTKV_RETURN_IF_ERROR(session.Append(question, cancel_));
  const double append_ms = SystemClock().NowMs() - start_ms;
  FASTKV_ASSIGN_OR_RETURN(PromptAnswer answer, AnswerWith(sample, session));
  answer.prefill_ms += append_ms;
  return answer;
}

double EnginePromptRunner::AppendFlops(const PrefillPlan& plan, int64_t num_tokens) const {
  double flops = 0;
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const int64_t begin = plan.layers[i].kv_len;
    const int64_t end = begin + num_tokens;
    flops += LayerFlops(engine_.config(), {.tokens_in = end, .kv_len = end, .tokens_out = end},
                        static_cast<int64_t>(i), begin, end, /*last_layer_rows=*/num_tokens);
  }
  return flops;
}

double EnginePromptRunner::FlopsOf(const PrefillPlan& plan) const {
  return PrefillFlops(engine_.config(), plan, LastLayerRows(plan));
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
