// Measures every operation of one back end at the sizes of an 8-billion-parameter model:
//   ops_bench --backend cpu --tokens 256 --kv-len 8192 --op MatMul
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "tests/ops/op_cases.h"

namespace fastkv {
namespace {

struct BenchOptions {
  std::string backend = "cpu";
  std::string compute_type = "auto";
  std::string op;  // empty: all
  int64_t num_tokens = 256;
  int64_t kv_len = 8192;
  int num_threads = 0;
  double min_ms = 200;
};

ComputeType ParseComputeType(const std::string& name) {
  if (name == "f32") return ComputeType::kF32;
  if (name == "bf16") return ComputeType::kBF16;
  return ComputeType::kAuto;
}

Result<std::unique_ptr<Backend>> MakeBackend(const BenchOptions& options) {
  const ComputeType type = ParseComputeType(options.compute_type);
  if (options.backend == "cpu") {
    return CreateCpuBackend(
        {.num_threads = options.num_threads, .compute_type = type, .allocator = nullptr});
  }
  if (options.backend == "cuda") {
    return CreateCudaBackend({.device_index = 0, .compute_type = type});
  }
  const DType dtype = type == ComputeType::kBF16 ? DType::kBF16 : DType::kF32;
  return CreateReferenceBackend({.activation = dtype, .kv = dtype});
}

// Milliseconds for `count` executions, one behind the other, until all are done.
Result<double> Measure(op_cases::OpRun& run, int64_t count) {
  const double begin_ms = SystemClock().NowMs();
  for (int64_t i = 0; i < count; ++i) run.Execute();
  FASTKV_RETURN_IF_ERROR(run.backend().Synchronize());
  return SystemClock().NowMs() - begin_ms;
}

// Milliseconds of one execution: the best of three batches that take a third of `min_ms` each.
Result<double> MillisecondsEach(op_cases::OpRun& run, double min_ms) {
  FASTKV_ASSIGN_OR_RETURN(double first_ms, Measure(run, 1));  // warms caches and plans
  FASTKV_ASSIGN_OR_RETURN(double once_ms, Measure(run, 1));
  const double estimate_ms = std::max(1e-3, std::min(first_ms, once_ms));
  const auto count = static_cast<int64_t>(std::max(1.0, min_ms / 3 / estimate_ms));
  double best_ms = once_ms;
  for (int batch = 0; batch < 3; ++batch) {
    FASTKV_ASSIGN_OR_RETURN(double batch_ms, Measure(run, count));
    best_ms = std::min(best_ms, batch_ms / static_cast<double>(count));
  }
  return best_ms;
}

Status RunBench(const BenchOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, MakeBackend(options));
  std::printf("%s: %s, activations %s\n", backend->info().name.c_str(),
              backend->info().description.c_str(),
              std::string(DTypeName(backend->types().activation)).c_str());
  std::printf("%-24s %-58s %12s %10s %9s\n", "operation", "case", "ms", "GFLOP/s", "GB/s");
  for (const op_cases::OpCase& op_case : op_cases::BenchCases(options.num_tokens, options.kv_len)) {
    if (op_case.op.find(options.op) == std::string::npos) continue;
    const std::unique_ptr<op_cases::OpRun> run = op_cases::Prepare(op_case, *backend);
    FASTKV_ASSIGN_OR_RETURN(const double ms, MillisecondsEach(*run, options.min_ms));
    std::printf("%-24s %-58s %12.4f %10.1f %9.2f\n", op_case.op.c_str(), op_case.name.c_str(), ms,
                run->work().flops / ms * 1e-6, run->work().bytes / ms * 1e-6);
    std::fflush(stdout);
  }
  return OkStatus();
}

}  // namespace
}  // namespace fastkv

int main(int argc, char** argv) {
  fastkv::BenchOptions options;
  CLI::App app("Measures the operations of a back end.");
  app.add_option("--backend", options.backend, "what to measure")
      ->check(CLI::IsMember({"cpu", "cuda", "reference"}))
      ->capture_default_str();
  app.add_option("--type", options.compute_type, "arithmetic type")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  app.add_option("--op", options.op, "only operations whose name contains this");
  app.add_option("--tokens", options.num_tokens, "rows of a prefill block")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--kv-len", options.kv_len, "entries of a cache")
      ->check(CLI::Range(int64_t{64}, int64_t{1} << 22))
      ->capture_default_str();
  app.add_option("--threads", options.num_threads, "CPU threads; 0: all cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--min-ms", options.min_ms, "time spent on a case")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const fastkv::Status status = fastkv::RunBench(options);
  if (!status.ok()) std::fprintf(stderr, "ops_bench: %s\n", status.message().c_str());
  return fastkv::ExitStatusFor(status);
}
