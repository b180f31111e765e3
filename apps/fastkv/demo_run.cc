#include "fastkv/demo_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/model_shape.h"
#include "engine/session.h"
#include "eval/fact_marks.h"
#include "eval/human_format.h"
#include "eval/needle_tasks.h"
#include "method/method.h"

namespace fastkv {
namespace {

// In the order in which they are asked; the first is the one that the page draws.
constexpr std::string_view kTasks[] = {"number", "many", "word", "number", "number"};
constexpr int64_t kMaxAnswerTokens = 48;
// More than any question takes, so that what comes before is the context that all share.
constexpr int64_t kQuestionTokens = 128;

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

std::string Trimmed(std::string text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

// The share of the parts that stand in `text` as whole words. The task's own score also takes a
// number that goes on with further digits; who reads both answers side by side would not call that
// right.
double ScoreWholeParts(std::string_view text, std::span<const std::string> parts) {
  const auto is_word = [&](size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  const auto occurs = [&](const std::string& part) {
    for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) {
      if ((at == 0 || !is_word(at - 1)) && !is_word(at + part.size())) return true;
    }
    return false;
  };
  return static_cast<double>(std::count_if(parts.begin(), parts.end(), occurs)) /
         static_cast<double>(parts.size());
}

// What one method did over the questions asked so far.
struct MethodRuns {
  MethodConfig config;
  std::string name;
  std::vector<double> first_token_ms;
  std::vector<double> decode_ms_per_token;
  int64_t kv_bytes = 0;
  std::vector<GivenAnswer> answers;

  ComparedMethod Summary() const {
    return {.name = name,
            .first_token_ms = Median(first_token_ms),
            .decode_ms_per_token = Median(decode_ms_per_token),
            .kv_bytes = kv_bytes,
            .answers = answers};
  }
};

class DemoRunner {
 public:
  DemoRunner(const Engine& engine, const Tokenizer& tokenizer, const DemoRunOptions& options)
      : engine_(engine), tokenizer_(tokenizer), options_(options) {
    full_.name = "full context";
    full_.config.name = "full";
    method_.name = DemoMethodName(options.method);
    method_.config = options.method;
  }

  Result<SelectionPageData> Run() {
    FASTKV_RETURN_IF_ERROR(CheckOptions());
    FASTKV_ASSIGN_OR_RETURN(const std::vector<NeedleSample> samples, MakeSamples());
    const double begin_ms = engine_.clock().NowMs();
    for (const NeedleSample& sample : samples) {
      FASTKV_RETURN_IF_ERROR(Ask(sample));
      // What a further question takes: the method's reading and both answers, but not the context
      // again.
      const double elapsed_ms = engine_.clock().NowMs() - begin_ms;
      const auto num_asked = static_cast<double>(data_.comparison.questions.size());
      const double question_ms = (elapsed_ms - context_ms_) / num_asked;
      if (elapsed_ms + question_ms > options_.time_budget_ms) break;
    }
    data_.comparison.model = engine_.model_name();
    const BackendInfo& info = engine_.backend().info();
    data_.comparison.machine = info.name + ": " + info.description;
    data_.comparison.baseline = full_.Summary();
    data_.comparison.method = method_.Summary();
    return std::move(data_);
  }

 private:
  // Finds before the long runs what would stop them in the middle.
  Status CheckOptions() const {
    const ModelConfig& config = engine_.config();
    const int64_t needed_tokens = options_.context_tokens + kMaxAnswerTokens;
    if (needed_tokens > config.max_position_embeddings) {
      return LimitError(
          fmt::format("a prompt of {} tokens and its answer need {} positions, but the model "
                      "allows {}; ask for a "
                      "shorter --context",
                      options_.context_tokens, needed_tokens, config.max_position_embeddings));
    }
    return CreateMethod(method_.config, ShapeOf(config)).status();
  }

  Result<std::vector<NeedleSample>> MakeSamples() const {
    const auto num_tasks = std::clamp<int64_t>(options_.max_questions, 1, std::size(kTasks));
    return MakeNeedleContextWithQuestions({kTasks, static_cast<size_t>(num_tasks)},
                                          options_.context_tokens, options_.seed,
                                          NeedleTokenCounter(tokenizer_));
  }

  Status Ask(const NeedleSample& sample) {
    FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, EncodeNeedlePrompt(tokenizer_, sample));
    data_.comparison.questions.push_back({sample.question, sample.answer});
    FASTKV_RETURN_IF_ERROR(AnswerInFull(sample, ids));
    FASTKV_ASSIGN_OR_RETURN(const Session session, Answer(sample, ids, method_));
    if (data_.comparison.questions.size() == 1) return Describe(sample, ids, session);
    return OkStatus();
  }

  // With the full context, what the questions share is read once: a later question goes on from a
  // fork of that session, which gives what reading its whole prompt would give. A method that
  // selects by the question cannot share.
  Status AnswerInFull(const NeedleSample& sample, std::span<const int32_t> ids) {
    if (!context_.has_value()) {
      context_ids_.assign(
          ids.begin(), ids.end() - std::min<std::ptrdiff_t>(std::ssize(ids) - 1, kQuestionTokens));
      FASTKV_ASSIGN_OR_RETURN(Session context, Read(context_ids_, full_));
      context_ms_ = context.prefill_report().prefill_ms;
      context_.emplace(std::move(context));
    }
    const auto shared =
        std::mismatch(context_ids_.begin(), context_ids_.end(), ids.begin(), ids.end());
    if (shared.first != context_ids_.end()) return Answer(sample, ids, full_).status();
    const double begin_ms = engine_.clock().NowMs();
    FASTKV_ASSIGN_OR_RETURN(Session session, context_->Fork());
    FASTKV_RETURN_IF_ERROR(session.Append(ids.subspan(context_ids_.size()), options_.cancel));
    const double read_ms = context_ms_ + engine_.clock().NowMs() - begin_ms;
    return Finish(sample, session, read_ms, full_);
  }

  Result<Session> Answer(const NeedleSample& sample, std::span<const int32_t> ids,
                         MethodRuns& runs) {
    FASTKV_ASSIGN_OR_RETURN(Session session, Read(ids, runs));
    FASTKV_RETURN_IF_ERROR(Finish(sample, session, session.prefill_report().prefill_ms, runs));
    return session;
  }

  Result<Session> Read(std::span<const int32_t> ids, const MethodRuns& runs) {
    const std::string run =
        fmt::format("question {}, {}", data_.comparison.questions.size(), runs.name);
    Session session(engine_);
    FASTKV_RETURN_IF_ERROR(session.Prefill({.ids = ids,
                                            .method = runs.config,
                                            .options = {.cancel = options_.cancel},
                                            .on_progress = [&](const PrefillProgress& progress) {
                                              if (options_.on_progress)
                                                options_.on_progress(run, progress);
                                            }}));
    return session;
  }

  // Generates the answer and notes what it took; `read_ms` is what reading the prompt took.
  Status Finish(const NeedleSample& sample, Session& session, double read_ms, MethodRuns& runs) {
    runs.kv_bytes = std::max(runs.kv_bytes, session.cache().bytes_held());
    FASTKV_ASSIGN_OR_RETURN(const DecodeReport decode,
                            session.Decode({.max_new_tokens = kMaxAnswerTokens,
                                            .sampling = {},
                                            .end_ids = EndIdsOf(engine_.generation_config()),
                                            .cancel = options_.cancel,
                                            .on_token = {}}));
    if (decode.finish_reason == FinishReason::kCancelled) return CancelledError("interrupted");
    const std::string text = Trimmed(tokenizer_.Decode(decode.output_ids, /*skip_special=*/true));
    runs.first_token_ms.push_back(read_ms + decode.first_token_ms);
    if (decode.output_ids.size() > 1) {
      runs.decode_ms_per_token.push_back(decode.decode_ms_per_token);
    }
    runs.answers.push_back({text, ScoreWholeParts(text, sample.answer_parts)});
    return OkStatus();
  }

  // What the page draws: the prompt's tokens and what the method kept of them.
  Status Describe(const NeedleSample& sample, std::span<const int32_t> ids,
                  const Session& session) {
    Tokenizer::StreamingDecoder decoder(tokenizer_);
    for (const int32_t id : ids) data_.token_texts.push_back(decoder.Take(id));
    data_.token_texts.back() += decoder.Finish();
    data_.facts = MarkFacts(sample, data_.token_texts);
    data_.comparison.prompt_tokens = static_cast<int64_t>(ids.size());
    const PrefillReport& report = session.prefill_report();
    data_.tsp_layer = report.plan.CutLayer();
    if (report.propagated) data_.propagated = *report.propagated;
    for (int64_t layer = 0; layer < engine_.config().num_layers; ++layer) {
      LayerSelection selection;
      selection.tokens_in = report.plan.layers[static_cast<size_t>(layer)].tokens_in;
      for (int64_t head = 0; head < engine_.config().num_kv_heads; ++head) {
        FASTKV_ASSIGN_OR_RETURN(
            std::vector<int32_t> kept,
            session.cache().layer(layer).FrozenPositionsOf(engine_.backend(), head));
        selection.kept_per_head.push_back(std::move(kept));
      }
      data_.layers.push_back(std::move(selection));
    }
    data_.method_text = DemoMethodText(method_.name, report.plan);
    return OkStatus();
  }

  const Engine& engine_;
  const Tokenizer& tokenizer_;
  const DemoRunOptions& options_;
  MethodRuns full_;
  MethodRuns method_;
  std::optional<Session> context_;  // what the questions share, read with the full context
  std::vector<int32_t> context_ids_;
  double context_ms_ = 0;
  SelectionPageData data_;
};

}  // namespace

std::string DemoMethodName(const MethodConfig& method) {
  return method.name == "fastkv" ? "FastKV" : method.name;
}

std::string DemoMethodText(const std::string& method_name, const PrefillPlan& plan) {
  const auto prompt_tokens = static_cast<double>(plan.prompt_tokens);
  double kept = 0;
  for (const LayerPlan& layer : plan.layers) kept += static_cast<double>(layer.kv_len);
  std::string text =
      fmt::format("{} of the KV entries kept",
                  HumanPercent(kept / prompt_tokens / static_cast<double>(plan.layers.size())));
  const int64_t cut = plan.CutLayer();
  if (cut >= 0) {
    const auto tokens_out = static_cast<double>(plan.layers[static_cast<size_t>(cut)].tokens_out);
    text = fmt::format("{} of the tokens propagated after layer {}, ",
                       HumanPercent(tokens_out / prompt_tokens), cut) +
           text;
  }
  return method_name + ": " + text;
}

Result<SelectionPageData> RunDemoQuestions(const Engine& engine, const DemoRunOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine.tokenizer());
  return DemoRunner(engine, *tokenizer, options).Run();
}

}  // namespace fastkv
