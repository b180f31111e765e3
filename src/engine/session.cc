#include "engine/session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/memory_guard.h"

namespace fastkv {
namespace {

ModelShape ShapeOf(const ModelConfig& config) {
  return {.num_layers = config.num_layers,
          .num_q_heads = config.num_q_heads,
          .num_kv_heads = config.num_kv_heads,
          .head_dim = config.head_dim};
}

}  // namespace

std::vector<int32_t> EndIdsOf(const GenerationConfig& config) {
  return {config.eos_token_ids.begin(), config.eos_token_ids.end()};
}

Status Session::Prefill(const PrefillRequest& request) {
  return WithMemoryErrors("reading the prompt", [&] { return RunPrefill(request); });
}

Result<DecodeReport> Session::Decode(const DecodeRequest& request) {
  return WithMemoryErrors("generating", [&] { return RunDecode(request); });
}

Status Session::RunPrefill(const PrefillRequest& request) {
  cache_.reset();
  decoder_.reset();
  prefill_.reset();
  decoded_ = false;
  TrackingAllocator& allocator = engine_.backend().allocator();
  const int64_t held_before = allocator.held_bytes();
  allocator.ResetPeak();
  const double begin_ms = engine_.clock().NowMs();

  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> method,
                          CreateMethod(request.method, ShapeOf(engine_.config())));
  FASTKV_ASSIGN_OR_RETURN(prefill_, fastkv::Prefill::Start(engine_.backend(), engine_.model(),
                                                           *method, request.ids, request.options));
  while (!prefill_->done()) {
    const Status status = prefill_->Step();
    if (!status.ok()) {
      prefill_.reset();
      return status;
    }
    if (request.on_progress) request.on_progress(prefill_->progress());
  }
  report_ = PrefillReport{};
  report_.prefill_ms = engine_.clock().NowMs() - begin_ms;
  report_.plan = prefill_->plan();
  report_.propagated = prefill_->propagated();
  report_.mean_logprob = prefill_->mean_logprob();
  cache_.emplace(prefill_->TakeCache());
  report_.kv_bytes = cache_->bytes_held();
  const KvGeometry& geometry = cache_->geometry();
  report_.full_kv_bytes = geometry.num_layers * geometry.num_kv_heads *
                          static_cast<int64_t>(request.ids.size()) * geometry.EntryBytes();
  report_.peak_bytes = allocator.peak_bytes() - held_before;
  prompt_ids_.assign(request.ids.begin(), request.ids.end());
  return engine_.CheckWeightsIntact();
}

ConstTensorView Session::logits() const {
  return decoded_ ? decoder_->logits() : prefill_->logits();
}

Result<std::vector<float>> Session::LastLogits() const {
  std::vector<float> host(engine_.config().vocab_size);
  FASTKV_RETURN_IF_ERROR(engine_.backend().CopyToHost(host.data(), logits().data(),
                                                      static_cast<int64_t>(host.size()) * 4));
  return host;
}

Result<DecodeReport> Session::RunDecode(const DecodeRequest& request) {
  FASTKV_CHECK(cache_.has_value());
  const Clock& clock = engine_.clock();
  const double begin_ms = clock.NowMs();
  FASTKV_ASSIGN_OR_RETURN(Sampler sampler,
                          Sampler::Create(engine_.backend(), request.sampling,
                                          engine_.config().vocab_size, prompt_ids_));
  if (!decoder_.has_value()) {
    FASTKV_ASSIGN_OR_RETURN(TokenDecoder decoder,
                            TokenDecoder::Create(engine_.backend(), engine_.model(), 1));
    decoder_.emplace(std::move(decoder));
  }
  DecodeReport report;
  double first_token_at_ms = begin_ms;
  double last_token_at_ms = begin_ms;
  while (static_cast<int64_t>(report.output_ids.size()) < request.max_new_tokens) {
    if (!report.output_ids.empty()) {
      if (cache_->next_position() >= engine_.config().max_position_embeddings) {
        report.finish_reason = FinishReason::kContextFull;
        break;
      }
      const int32_t last_id = report.output_ids.back();
      const Status status = decoder_->Append(*cache_, {&last_id, 1}, request.cancel);
      if (status.code() == StatusCode::kCancelled) {
        report.finish_reason = FinishReason::kCancelled;
        break;
      }
      FASTKV_RETURN_IF_ERROR(status);
      decoded_ = true;
    }
    FASTKV_ASSIGN_OR_RETURN(const int32_t id, sampler.Next(logits()));
    report.output_ids.push_back(id);
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
