#include "fastkv/chat_session.h"

#include <fmt/format.h>

#include <utility>

#include "eval/human_format.h"
#include "fastkv/answer_stream.h"
#include "fastkv/progress_bar.h"

namespace fastkv {

ChatSession::ChatSession(const Engine& engine, const Tokenizer& tokenizer, ChatTurns turns,
                         ChatSettings settings, std::function<void(const std::string&)> notify)
    : engine_(engine),
      tokenizer_(tokenizer),
      turns_(std::move(turns)),
      settings_(std::move(settings)),
      notify_(std::move(notify)) {}

void ChatSession::Reset() {
  Lose();
  told_not_again_ = false;
}

void ChatSession::Lose() {
  session_.reset();
  turns_.Forget();
}

Result<TurnStats> ChatSession::Answer(const std::vector<ChatMessage>& messages,
                                      const CancelFlag& cancel, std::ostream* out) {
  FASTKV_ASSIGN_OR_RETURN(TurnPrompt prompt, turns_.Next(messages));
  TurnStats stats;
  const double begin_ms = engine_.clock().NowMs();
  FASTKV_RETURN_IF_ERROR(Read(prompt, messages, cancel, stats));
  stats.read_ms = engine_.clock().NowMs() - begin_ms;
  DescribeCache(stats);

  DecodeRequest request{.max_new_tokens = settings_.max_new_tokens,
                        .sampling = settings_.sampling,
                        .cancel = &cancel};
  // Each answer has draws of its own, and all follow from the one seed.
  request.sampling.seed += num_answers_++;
  const std::vector<int32_t> end_ids = EndIdsOf(engine_.generation_config());
  if (!settings_.ignore_eos) request.end_ids = end_ids;
  AnswerStream answer(tokenizer_, {}, request.end_ids, out);
  request.on_token = [&](int32_t id) { return answer.Take(id); };
  Result<DecodeReport> decode = session_->Decode(request);
  if (!decode.ok()) {
    Lose();
    return decode.status();
  }
  answer.Finish();
  // The template writes the end of an answer itself.
  if (decode->finish_reason == FinishReason::kEndToken) session_->DiscardUnrunToken();
  stats.decode = std::move(decode).value();
  stats.answer = answer.text();
  turns_.SetRead(std::move(prompt.text), stats.answer);
  return stats;
}

Status ChatSession::Read(const TurnPrompt& prompt, const std::vector<ChatMessage>& messages,
                         const CancelFlag& cancel, TurnStats& stats) {
  stats.read_tokens = static_cast<int64_t>(prompt.ids.size());
  stats.from_start = !session_.has_value() || !prompt.goes_on;
  if (!stats.from_start) return GoOn(prompt, cancel, stats);
  if (session_.has_value()) {
    notify_(
        fmt::format("the chat template changes earlier messages, so that the whole conversation "
                    "of {} tokens is read again",
                    HumanCount(stats.read_tokens)));
  }
  const Status status = ReadFromStart(prompt, messages, cancel);
  if (!status.ok()) Lose();
  return status;
}

Status ChatSession::ReadFromStart(const TurnPrompt& prompt,
                                  const std::vector<ChatMessage>& messages,
                                  const CancelFlag& cancel) {
  MethodConfig method = settings_.method;
  if (settings_.protect_system) {
    FASTKV_ASSIGN_OR_RETURN(const int64_t count, turns_.CountSystemTokens(messages));
    method.protect.push_back({0, count});
  }
  session_.emplace(engine_);
  PrefillBar bar("prefill", settings_.quiet);
  FASTKV_RETURN_IF_ERROR(session_->Prefill({.ids = prompt.ids,
                                            .method = method,
                                            .require_method = settings_.require_method,
                                            .goes_on = true,
                                            .options = {.cancel = &cancel},
                                            .on_progress = [&](const PrefillProgress& progress) {
                                              bar.Show(progress,
                                                       static_cast<int64_t>(prompt.ids.size()));
                                            }}));
  bar.Clear();
  const Status again = session_->BudgetLens().status();
  if (again.code() == StatusCode::kUnsupported && !told_not_again_) {
    notify_(again.message() + "; later turns are kept as they are");
    told_not_again_ = true;
  }
  return OkStatus();
}

Status ChatSession::GoOn(const TurnPrompt& prompt, const CancelFlag& cancel, TurnStats& stats) {
  const int64_t tokens_before = session_->num_tokens();
  const Status status = session_->Append(prompt.ids, &cancel);
  if (!status.ok()) {
    // Where entries were dropped on the way, the session cannot go back.
    if (session_->num_tokens() != tokens_before) Lose();
    return status;
  }
  Result<CompressReport> report = session_->Compress();
  if (report.status().code() == StatusCode::kUnsupported) return OkStatus();
  if (!report.ok()) {
    Lose();
    return report.status();
  }
  stats.reduced = report->reduced;
  return OkStatus();
}

void ChatSession::DescribeCache(TurnStats& stats) const {
  const KvCache& cache = session_->cache();
  const KvGeometry& geometry = cache.geometry();
  stats.kv_bytes = cache.bytes_held();
  stats.full_kv_bytes = geometry.FullBytes(session_->num_tokens());
  for (int64_t layer = 0; layer < geometry.num_layers; ++layer) {
    stats.kv_len.emplace_back();
    for (int64_t head = 0; head < geometry.num_kv_heads; ++head) {
      stats.kv_len.back().push_back(cache.layer(layer).FrozenLen(head) + cache.tail_len());
    }
  }
}

}  // namespace fastkv
