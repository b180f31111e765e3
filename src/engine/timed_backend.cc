#include "engine/timed_backend.h"

#include <algorithm>
#include <utility>

namespace fastkv {

TimedBackend::TimedBackend(Backend& inner, const DecoderModel& model, const Clock& clock)
    : inner_(inner), clock_(clock) {
  for (int64_t i = 0; i < model.config().num_layers; ++i) {
    const LayerWeights& layer = model.layer(i);
    weight_names_[layer.qkv.get()] = "MatMul qkv";
    weight_names_[layer.output.get()] = "MatMul output";
    weight_names_[layer.gate_up.get()] = "MatMul gate_up";
    weight_names_[layer.down.get()] = "MatMul down";
  }
  weight_names_[&model.last_layer_kv()] = "MatMul last layer kv";
  weight_names_[&model.head()] = "MatMul head";
}

std::vector<OperationTime> TimedBackend::Times() const {
  std::vector<OperationTime> times;
  for (const auto& [name, time] : times_) times.push_back(time);
  std::stable_sort(times.begin(), times.end(),
                   [](const OperationTime& a, const OperationTime& b) { return a.ms > b.ms; });
  return times;
}

void TimedBackend::Wait() {
  Status status = inner_.Synchronize();
  if (failure_.ok()) failure_ = std::move(status);
}

void TimedBackend::Add(const char* operation, double ms) {
  auto found = times_.find(std::string_view(operation));
  if (found == times_.end()) {
    found = times_.emplace(operation, OperationTime{.operation = operation}).first;
  }
  ++found->second.calls;
  found->second.ms += ms;
}

Status TimedBackend::CopyToDevice(void* device, const void* host, int64_t num_bytes) {
  const double begin_ms = clock_.NowMs();
  Status status = inner_.CopyToDevice(device, host, num_bytes);
  Add("copy to device", clock_.NowMs() - begin_ms);
  return status;
}

Status TimedBackend::CopyToHost(void* host, const void* device, int64_t num_bytes) {
  const double begin_ms = clock_.NowMs();
  Status status = inner_.CopyToHost(host, device, num_bytes);
  Add("copy to host", clock_.NowMs() - begin_ms);
  return status;
}

void TimedBackend::Copy(void* to, const void* from, int64_t num_bytes) {
  Time("copy", [&] { inner_.Copy(to, from, num_bytes); });
}

Status TimedBackend::Synchronize() {
  Wait();
  return std::exchange(failure_, OkStatus());
}

void TimedBackend::MatMul(const MatMulParams& params) {
  const auto name = weight_names_.find(params.weight);
  Time(name == weight_names_.end() ? "MatMul" : name->second, [&] { inner_.MatMul(params); });
}

}  // namespace fastkv
