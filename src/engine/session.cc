#include "engine/session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/memory_guard.h"
#include "engine/cache_compression.h"
#include "engine/model_shape.h"
#include "method/retention_rule.h"

namespace fastkv {
namespace {

// Tokens of an Append that go through the model together.
constexpr int64_t kAppendBlockTokens = 128;

Status NothingDroppedError(const PrefillRequest& request) {
  return InvalidArgumentError("method '" + request.method.name + "' drops nothing of a prompt of " +
                              std::to_string(request.ids.size()) +
                              " tokens with this budget, and --require-method asks that it does; "
                              "lower the budget or give a longer prompt");
}

}  // namespace

bool PrefillReport::dropped_anything() const {
  return std::any_of(layers.begin(), layers.end(), [this](const LayerReport& layer) {
    return layer.tokens_in < plan.prompt_tokens ||
           *std::min_element(layer.kv_len.begin(), layer.kv_len.end()) < plan.prompt_tokens;
  });
}

std::string Describe(const PrefillReport& report) {
  std::string text;
  for (size_t first = 0; first < report.layers.size();) {
    size_t end = first + 1;
    while (end < report.layers.size() && report.layers[end] == report.layers[first]) ++end;
    const LayerReport& layer = report.layers[first];
    const auto [least, most] = std::minmax_element(layer.kv_len.begin(), layer.kv_len.end());
    text += (text.empty() ? "" : "; ");
    text += (end > first + 1 ? "layers " : "layer ") + std::to_string(first);
    if (end > first + 1) text += "-" + std::to_string(end - 1);
    text += ": " + std::to_string(layer.tokens_in) + " tokens, " + std::to_string(*least);
    if (*least != *most) text += " to " + std::to_string(*most);
    text += " kept";
    first = end;
  }
  return text;
}

std::vector<int32_t> EndIdsOf(const GenerationConfig& config) {
  return {config.eos_token_ids.begin(), config.eos_token_ids.end()};
}

Status Session::Prefill(const PrefillRequest& request) {
  return WithMemoryErrors("reading the prompt", [&] { return RunPrefill(request); });
}

Result<DecodeReport> Session::Decode(const DecodeRequest& request) {
  return WithMemoryErrors("generating", [&] { return RunDecode(request); });
}

Status Session::Append(std::span<const int32_t> ids, const CancelFlag* cancel) {
  return WithMemoryErrors("reading further tokens", [&] { return RunAppend(ids, cancel); });
}

Status Session::RunPrefill(const PrefillRequest& request) {
  cache_.reset();
  eviction_.reset();
  observer_.reset();
  decoder_.reset();
  unrun_id_.reset();
  TrackingAllocator& allocator = engine_.backend().allocator();
  const int64_t held_before = allocator.held_bytes();
  allocator.ResetPeak();
  const double begin_ms = engine_.clock().NowMs();

  FASTKV_ASSIGN_OR_RETURN(
      method_, CreateMethod(engine_.WithModelDefaults(request.method), ShapeOf(engine_.config())));
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<fastkv::Prefill> prefill,
                          fastkv::Prefill::Start(engine_.backend(), engine_.model(), *method_,
                                                 request.ids, request.options));
  if (request.require_method && !prefill->plan().MayDrop()) return NothingDroppedError(request);
  while (!prefill->done()) {
    FASTKV_RETURN_IF_ERROR(prefill->Step());
    if (request.on_progress) request.on_progress(prefill->progress());
  }
  report_ = PrefillReport{};
  report_.prefill_ms = engine_.clock().NowMs() - begin_ms;
  logits_ = prefill->TakeLogits();
  KvCache cache = TakeOver(*prefill, 0, request.ids);
  if (request.require_method && !report_.dropped_anything()) return NothingDroppedError(request);
  if (request.goes_on) FASTKV_RETURN_IF_ERROR(MakeObserver());
  cache_.emplace(std::move(cache));
  eviction_ = prefill->TakeEviction();
  report_.peak_bytes = allocator.peak_bytes() - held_before;
  FASTKV_RETURN_IF_ERROR(engine_.CheckWeightsIntact());
  return CheckLogits();
}

Status Session::MakeObserver() {
  const Result<CacheBudget> budget =
      method_->BudgetFor(report_.plan.prompt_tokens, report_.plan.protected_tokens);
  if (!budget.ok() || budget->rule == nullptr) return OkStatus();
  FASTKV_ASSIGN_OR_RETURN(TurnObserver observer,
                          TurnObserver::Create(engine_.backend(), engine_.model(), *budget->rule));
  observer_.emplace(std::move(observer));
  return OkStatus();
}

KvCache Session::TakeOver(fastkv::Prefill& prefill, int64_t method, std::span<const int32_t> ids) {
  report_.plan = prefill.PlanOf(method);
  report_.propagated = prefill.propagated();
  report_.mean_logprob = prefill.mean_logprob();
  seen_ids_.assign(ids.begin(), ids.end());
  KvCache cache = prefill.TakeCache(method);
  for (int64_t i = 0; i < engine_.config().num_layers; ++i) {
    LayerReport layer{.tokens_in = report_.plan.layers[i].tokens_in};
    for (int64_t head = 0; head < engine_.config().num_kv_heads; ++head) {
      layer.kv_len.push_back(cache.layer(i).FrozenLen(head) + cache.tail_len());
    }
    report_.layers.push_back(std::move(layer));
  }
  report_.kv_bytes = cache.bytes_held();
  report_.full_kv_bytes = cache.geometry().FullBytes(static_cast<int64_t>(ids.size()));
  return cache;
}

Result<std::vector<Session>> Session::PrefillTogether(const Engine& engine,
                                                      const SharedPrefillRequest& request) {
  return WithMemoryErrors("reading the prompt",
                          [&] { return RunPrefillTogether(engine, request); });
}

Result<std::vector<Session>> Session::RunPrefillTogether(const Engine& engine,
                                                         const SharedPrefillRequest& request) {
  Backend& backend = engine.backend();
  const int64_t held_before = backend.allocator().held_bytes();
  backend.allocator().ResetPeak();
  const double begin_ms = engine.clock().NowMs();
  std::vector<std::unique_ptr<Method>> methods;
  std::vector<const Method*> borrowed;
  for (const MethodConfig& config : request.methods) {
    FASTKV_ASSIGN_OR_RETURN(
        std::unique_ptr<Method> method,
        CreateMethod(engine.WithModelDefaults(config), ShapeOf(engine.config())));
    borrowed.push_back(method.get());
    methods.push_back(std::move(method));
  }
  FASTKV_ASSIGN_OR_RETURN(
      const std::unique_ptr<fastkv::Prefill> prefill,
      fastkv::Prefill::Start(backend, engine.model(), borrowed, request.ids, request.options));
  while (!prefill->done()) {
    FASTKV_RETURN_IF_ERROR(prefill->Step());
    if (request.on_progress) request.on_progress(prefill->progress());
  }
  const double prefill_ms = engine.clock().NowMs() - begin_ms;
  const Buffer logits = prefill->TakeLogits();
  std::vector<Session> sessions;
  for (size_t i = 0; i < methods.size(); ++i) {
    Session session(engine);
    session.method_ = std::move(methods[i]);
    FASTKV_ASSIGN_OR_RETURN(session.logits_, backend.Allocate(logits.num_bytes(), "logits"));
    backend.Copy(session.logits_.data(), logits.data(), logits.num_bytes());
    session.cache_.emplace(session.TakeOver(*prefill, static_cast<int64_t>(i), request.ids));
    session.report_.prefill_ms = prefill_ms;
    session.report_.peak_bytes = backend.allocator().peak_bytes() - held_before;
    sessions.push_back(std::move(session));
  }
  // Where there is one method, it may also drop entries while decoding.
  if (sessions.size() == 1) sessions.front().eviction_ = prefill->TakeEviction();
  FASTKV_RETURN_IF_ERROR(engine.CheckWeightsIntact());
  FASTKV_RETURN_IF_ERROR(sessions.front().CheckLogits());
  return sessions;
}

Status Session::CheckLogits() const {
  FASTKV_ASSIGN_OR_RETURN(const Buffer choice, engine_.backend().Allocate(4, "a check of logits"));
  return Sampler::Greedy(engine_.backend(), logits(), choice).status();
}

Status Session::MakeDecoder(int64_t max_tokens) {
  if (decoder_.has_value() && decoder_->max_tokens() >= max_tokens) return OkStatus();
  FASTKV_ASSIGN_OR_RETURN(TokenDecoder decoder,
                          TokenDecoder::Create(engine_.backend(), engine_.model(), max_tokens));
  decoder_.emplace(std::move(decoder));
  return OkStatus();
}

Status Session::RunTokens(std::span<const int32_t> ids, const CancelFlag* cancel) {
  TailEviction* eviction = eviction_.has_value() ? &*eviction_ : nullptr;
  TurnObserver* observer = observer_.has_value() ? &*observer_ : nullptr;
  FASTKV_RETURN_IF_ERROR(decoder_->Append(*cache_, ids, eviction, cancel, observer));
  engine_.backend().Copy(logits_.data(), decoder_->logits().data(), logits_.num_bytes());
  return OkStatus();
}

Status Session::RunAppend(std::span<const int32_t> ids, const CancelFlag* cancel) {
  FASTKV_CHECK(cache_.has_value());
  const ModelConfig& config = engine_.config();
  for (const int32_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      return InvalidArgumentError("token id " + std::to_string(id) +
                                  " is outside the model's vocabulary of " +
                                  std::to_string(config.vocab_size));
    }
  }
  std::vector<int32_t> all(ids.begin(), ids.end());
  if (unrun_id_.has_value()) all.insert(all.begin(), *unrun_id_);
  const auto num_tokens = static_cast<int64_t>(all.size());
  if (num_tokens == 0) return OkStatus();
  if (cache_->next_position() + num_tokens > config.max_position_embeddings) {
    return LimitError("the conversation would have " +
                      std::to_string(cache_->next_position() + num_tokens) +
                      " tokens, but the model allows " +
                      std::to_string(config.max_position_embeddings) + "; start a new one");
  }
  Backend& backend = engine_.backend();
  FASTKV_ASSIGN_OR_RETURN(const Buffer logits_before,
                          backend.Allocate(logits_.num_bytes(), "logits"));
  backend.Copy(logits_before.data(), logits_.data(), logits_.num_bytes());
  const int64_t tail_before = cache_->tail_len();
  const Status status = AppendBlocks(all, cancel);
  if (status.ok()) {
    seen_ids_.insert(seen_ids_.end(), ids.begin(), ids.end());
    unrun_id_.reset();
    return engine_.CheckWeightsIntact();
  }
  if (!eviction_.has_value()) {
    const int64_t num_run = cache_->tail_len() - tail_before;
    cache_->RemoveLastTokens(num_run);
    if (observer_.has_value()) observer_->TakeBack(num_run);
    backend.Copy(logits_.data(), logits_before.data(), logits_.num_bytes());
  }
  return status;
}

Status Session::AppendBlocks(std::span<const int32_t> ids, const CancelFlag* cancel) {
  const auto num_tokens = static_cast<int64_t>(ids.size());
  // Each token may make the cache drop entries that the next one then does not see.
  const int64_t block_tokens = eviction_.has_value() ? 1 : kAppendBlockTokens;
  FASTKV_RETURN_IF_ERROR(MakeDecoder(std::clamp<int64_t>(num_tokens, 1, block_tokens)));
  for (int64_t begin = 0; begin < num_tokens; begin += block_tokens) {
    const int64_t count = std::min(block_tokens, num_tokens - begin);
    FASTKV_RETURN_IF_ERROR(RunTokens(ids.subspan(begin, count), cancel));
  }
  return OkStatus();
}

void Session::DiscardUnrunToken() {
  if (unrun_id_.has_value()) seen_ids_.pop_back();
  unrun_id_.reset();
}

int64_t Session::num_tokens() const {
  return report_.plan.prompt_tokens + cache_->next_position() - report_.plan.next_position();
}

int64_t Session::context_left() const {
  return engine_.config().max_position_embeddings - cache_->next_position() -
         (unrun_id_.has_value() ? 1 : 0);
}

Result<CacheBudget> Session::Budget() const {
  return method_->BudgetFor(num_tokens(), report_.plan.protected_tokens);
}

Result<std::vector<int64_t>> Session::BudgetLens() const {
  FASTKV_CHECK(cache_.has_value());
  FASTKV_ASSIGN_OR_RETURN(CacheBudget budget, Budget());
  return std::move(budget.kv_len);
}

Result<CompressReport> Session::Compress() {
  return WithMemoryErrors("reducing the cache", [&] { return RunCompress(); });
}

Result<CompressReport> Session::RunCompress() {
  FASTKV_CHECK(cache_.has_value());
  const double begin_ms = engine_.clock().NowMs();
  FASTKV_ASSIGN_OR_RETURN(CacheBudget budget, Budget());
  CompressReport report{.kv_bytes_before = cache_->bytes_held(),
                        .kv_bytes_after = cache_->bytes_held()};
  if (budget.rule == nullptr || !ExceedsBudget(*cache_, budget)) return report;
  const CacheCompressionParams params{
      .budget = std::move(budget),
      .num_tokens = num_tokens(),
      .protected_tokens = report_.plan.protected_tokens,
      .observer = observer_.has_value() ? &*observer_ : nullptr,
  };
  if (!CanCompress(*cache_, params)) return report;
  TrackingAllocator& allocator = engine_.backend().allocator();
  allocator.ResetPeak();
  FASTKV_RETURN_IF_ERROR(CompressCache(engine_.backend(), engine_.model(), params, *cache_));
  report.reduced = true;
  report.kv_bytes_after = cache_->bytes_held();
  report.peak_bytes = allocator.peak_bytes() - engine_.weight_memory_bytes();
  report.elapsed_ms = engine_.clock().NowMs() - begin_ms;
  return report;
}

Result<Session> Session::Fork() const {
  return WithMemoryErrors("forking a session", [&]() -> Result<Session> {
    FASTKV_CHECK(cache_.has_value());
    Session fork(engine_);
    fork.report_ = report_;
    fork.method_ = method_;
    fork.unrun_id_ = unrun_id_;
    fork.seen_ids_ = seen_ids_;
    FASTKV_ASSIGN_OR_RETURN(fork.logits_,
                            engine_.backend().Allocate(logits_.num_bytes(), "logits"));
    engine_.backend().Copy(fork.logits_.data(), logits_.data(), logits_.num_bytes());
    FASTKV_ASSIGN_OR_RETURN(KvCache cache, cache_->Fork());
    fork.cache_.emplace(std::move(cache));
    if (eviction_.has_value()) {
      FASTKV_ASSIGN_OR_RETURN(TailEviction eviction, eviction_->Fork());
      fork.eviction_.emplace(std::move(eviction));
    }
    if (observer_.has_value()) {
      FASTKV_ASSIGN_OR_RETURN(TurnObserver observer, observer_->Fork());
      fork.observer_.emplace(std::move(observer));
    }
    return fork;
  });
}

Result<std::vector<int32_t>> Session::PositionsOf(int64_t layer, int64_t kv_head) const {
  FASTKV_ASSIGN_OR_RETURN(std::vector<int32_t> positions, cache_->PositionsOf(layer, kv_head));
  if (!report_.plan.renumbers) return positions;
  const std::vector<int32_t>& read_again = *report_.propagated;
  const auto num_read = static_cast<int32_t>(read_again.size());
  const auto prompt_tokens = static_cast<int32_t>(report_.plan.prompt_tokens);
  for (int32_t& position : positions) {
    position = position < num_read ? read_again[position] : position - num_read + prompt_tokens;
  }
  return positions;
}

ConstTensorView Session::logits() const {
  return logits_.View(DType::kF32, {1, engine_.config().vocab_size});
}

Result<std::vector<float>> Session::LastLogits() const {
  std::vector<float> host(engine_.config().vocab_size);
  FASTKV_RETURN_IF_ERROR(engine_.backend().CopyToHost(host.data(), logits_.data(),
                                                      static_cast<int64_t>(host.size()) * 4));
  return host;
}

Result<DecodeReport> Session::RunDecode(const DecodeRequest& request) {
  FASTKV_CHECK(cache_.has_value());
  const Clock& clock = engine_.clock();
  const double begin_ms = clock.NowMs();
  FASTKV_ASSIGN_OR_RETURN(Sampler sampler, Sampler::Create(engine_.backend(), request.sampling,
                                                           engine_.config().vocab_size, seen_ids_));
  FASTKV_RETURN_IF_ERROR(MakeDecoder(1));
  DecodeReport report;
  if (unrun_id_.has_value() && request.max_new_tokens > 0) {
    const Status status = RunAppend({}, request.cancel);
    if (status.code() == StatusCode::kCancelled || status.code() == StatusCode::kLimit) {
      report.finish_reason = status.code() == StatusCode::kLimit ? FinishReason::kContextFull
                                                                 : FinishReason::kCancelled;
      return report;
    }
    FASTKV_RETURN_IF_ERROR(status);
  }
  double first_token_at_ms = begin_ms;
  double last_token_at_ms = begin_ms;
  while (static_cast<int64_t>(report.output_ids.size()) < request.max_new_tokens) {
    if (!report.output_ids.empty()) {
      if (cache_->next_position() >= engine_.config().max_position_embeddings) {
        report.finish_reason = FinishReason::kContextFull;
        break;
      }
      const int32_t last_id = report.output_ids.back();
      const Status status = RunTokens({&last_id, 1}, request.cancel);
      if (status.ok()) unrun_id_.reset();
      if (status.code() == StatusCode::kCancelled) {
        report.finish_reason = FinishReason::kCancelled;
        break;
      }
      FASTKV_RETURN_IF_ERROR(status);
    }
    FASTKV_ASSIGN_OR_RETURN(const int32_t id, sampler.Next(logits()));
    report.output_ids.push_back(id);
    seen_ids_.push_back(id);
    unrun_id_ = id;
    last_token_at_ms = clock.NowMs();
    if (report.output_ids.size() == 1) first_token_at_ms = last_token_at_ms;
    const bool go_on = !request.on_token || request.on_token(id);
    if (std::find(request.end_ids.begin(), request.end_ids.end(), id) != request.end_ids.end()) {
      report.finish_reason = FinishReason::kEndToken;
      break;
    }
    if (!go_on) {
      report.finish_reason = FinishReason::kStoppedByCaller;
      break;
    }
  }
  report.first_token_ms = first_token_at_ms - begin_ms;
  const auto later_tokens = static_cast<double>(report.output_ids.size()) - 1;
  if (later_tokens > 0) {
    report.decode_ms_per_token = (last_token_at_ms - first_token_at_ms) / later_tokens;
  }
  FASTKV_RETURN_IF_ERROR(engine_.CheckWeightsIntact());
  return report;
}

}  // namespace fastkv
