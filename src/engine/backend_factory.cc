#include <charconv>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace fastkv {
namespace {

Result<std::unique_ptr<Backend>> CreateCpu(const EngineOptions& options) {
  return CreateCpuBackend({.num_threads = options.num_threads,
                           .compute_type = options.compute_type,
                           .weight_type = options.weight_type,
                           .kv_type = options.kv_type,
                           .allocator = options.allocator});
}

Result<std::unique_ptr<Backend>> CreateCuda(const EngineOptions& options, int device_index) {
  if (options.weight_type == WeightType::kInt8) {
    return UnsupportedError(
        "expected --weights auto on a GPU, but got int8; int8 weights need --device cpu");
  }
  if (options.kv_type == KvType::kInt8) {
    return UnsupportedError(
        "expected --kv-dtype auto on a GPU, but got int8; keys and values in int8 need --device "
        "cpu");
  }
  return CreateCudaBackend({.device_index = device_index, .compute_type = options.compute_type});
}

// A device keeps keys and values in the type that it computes in, or in integers.
Status CheckKvType(KvType wanted, const Backend& backend) {
  if (wanted == KvType::kAuto || wanted == KvType::kInt8) return OkStatus();
  const DType dtype = wanted == KvType::kF32 ? DType::kF32 : DType::kBF16;
  const DType computed = backend.types().kv;
  if (dtype == computed) return OkStatus();
  const std::string name(DTypeName(dtype));
  return UnsupportedError("expected --kv-dtype auto, " + std::string(DTypeName(computed)) +
                          " or int8, but got " + name + ": keys and values are kept as the " +
                          backend.info().name + " back end computes them; --dtype " + name +
                          " changes that");
}

Result<std::unique_ptr<Backend>> CreateNamed(const EngineOptions& options) {
  const std::string_view device = options.device;
  if (device == "cpu") return CreateCpu(options);
  if (device == "reference") {
    const DType type = options.compute_type == ComputeType::kBF16 ? DType::kBF16 : DType::kF32;
    return CreateReferenceBackend({.activation = type,
                                   .kv = type,
                                   .weights = options.weight_type,
                                   .frozen_kv = options.kv_type},
                                  options.allocator);
  }
  if (device == "auto") {
    if (ListCudaDevices().empty()) return CreateCpu(options);
    return CreateCuda(options, 0);
  }
  if (device == "cuda") {
    return CreateCuda(options, 0);
  }
  if (device.starts_with("cuda:")) {
    const std::string_view number = device.substr(5);
    int index = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error == std::errc() && end == number.data() + number.size() && index >= 0) {
      return CreateCuda(options, index);
    }
  }
  return InvalidArgumentError("--device is '" + options.device +
                              "'; give auto, cpu, cuda or cuda:N");
}

}  // namespace

Result<std::unique_ptr<Backend>> CreateBackend(const EngineOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, CreateNamed(options));
  FASTKV_RETURN_IF_ERROR(CheckKvType(options.kv_type, *backend));
  return backend;
}

}  // namespace fastkv
