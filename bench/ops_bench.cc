// Measures every operation of one back end at the sizes of an 8-billion-parameter model:
//   ops_bench --backend cpu --tokens 256 --kv-len 8192 --op MatMul
// Products at the sizes of a model with 1 billion parameters, as shares of what the machine
// reaches:
//   ops_bench --op MatMul --hidden 2048 --qkv 3072 --intermediate 8192 --tokens 512 --ceilings
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>

#include "backend/cpu/ceilings.h"
#include "backend/cpu/cpu_features.h"
#include "base/clock.h"
#include "tests/ops/op_cases.h"

namespace fastkv {
namespace {

struct BenchOptions {
  std::string backend = "cpu";
  std::string compute_type = "auto";
  std::string weights = "auto";
  std::string op;  // empty: all
  int64_t num_tokens = 256;
  int64_t kv_len = 8192;
  op_cases::MatMulBenchSizes layer;
  int num_threads = 0;
  double min_ms = 200;
  bool ceilings = false;
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
        {.num_threads = options.num_threads,
         .compute_type = type,
         .weight_type = options.weights == "int8" ? WeightType::kInt8 : WeightType::kAuto,
         .allocator = nullptr});
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

constexpr int kBatches = 3;

// What the CPU reaches at the moment, in the type that it multiplies.
struct Ceilings {
  double flops_per_s = 0;  // 0: this build cannot tell
  double bytes_per_s = 0;
};

Result<Ceilings> MeasureCeilings(const Backend& backend) {
  constexpr double kDurationMs = 60;
  const bool bf16 =
      backend.types().activation == DType::kBF16 && SelectCpuLevel() >= CpuLevel::kAvx512Bf16;
  const int num_threads = backend.info().num_threads;
  Ceilings ceilings;
  const Result<double> flops =
      MeasureMatrixFlopsPerSecond(bf16 ? DType::kBF16 : DType::kF32, num_threads, kDurationMs);
  if (flops.ok()) ceilings.flops_per_s = *flops;
  FASTKV_ASSIGN_OR_RETURN(ceilings.bytes_per_s,
                          MeasureReadBytesPerSecond(num_threads, kDurationMs));
  return ceilings;
}

struct Measurement {
  double best_ms = 0;  // of one execution
  // Medians over the batches, each against the ceilings measured just before it; 0: not measured.
  double share_of_flops = 0;
  double share_of_bytes = 0;
};

double Median(std::array<double, kBatches> values) {
  std::sort(values.begin(), values.end());
  return values[kBatches / 2];
}

// Batches of executions that take an equal share of `min_ms` each.
Result<Measurement> MeasureCase(op_cases::OpRun& run, const BenchOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(double first_ms, Measure(run, 1));  // warms caches and plans
  FASTKV_ASSIGN_OR_RETURN(double once_ms, Measure(run, 1));
  const double estimate_ms = std::max(1e-3, std::min(first_ms, once_ms));
  const auto count = static_cast<int64_t>(std::max(1.0, options.min_ms / kBatches / estimate_ms));
  Measurement result{.best_ms = once_ms};
  std::array<double, kBatches> flop_shares = {};
  std::array<double, kBatches> byte_shares = {};
  for (int batch = 0; batch < kBatches; ++batch) {
    Ceilings ceilings;
    if (options.ceilings) {
      FASTKV_ASSIGN_OR_RETURN(ceilings, MeasureCeilings(run.backend()));
    }
    FASTKV_ASSIGN_OR_RETURN(const double batch_ms, Measure(run, count));
    const double each_ms = batch_ms / static_cast<double>(count);
    result.best_ms = std::min(result.best_ms, each_ms);
    if (ceilings.flops_per_s > 0) {
      flop_shares[batch] = run.work().flops / each_ms * 1e3 / ceilings.flops_per_s;
    }
    if (ceilings.bytes_per_s > 0) {
      byte_shares[batch] = run.work().bytes / each_ms * 1e3 / ceilings.bytes_per_s;
    }
  }
  result.share_of_flops = Median(flop_shares);
  result.share_of_bytes = Median(byte_shares);
  return result;
}

Status RunBench(const BenchOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend, MakeBackend(options));
  std::printf("%s: %s, activations %s\n", backend->info().name.c_str(),
              backend->info().description.c_str(),
              std::string(DTypeName(backend->types().activation)).c_str());
  std::printf("%-24s %-58s %12s %10s %9s%s\n", "operation", "case", "ms", "GFLOP/s", "GB/s",
              options.ceilings ? "  of ceilings: flops bytes" : "");
  for (const op_cases::OpCase& op_case :
       op_cases::BenchCases(options.num_tokens, options.kv_len, options.layer)) {
    if (op_case.op.find(options.op) == std::string::npos) continue;
    if (op_case.has_int8_kv && options.backend == "cuda") continue;
    const std::unique_ptr<op_cases::OpRun> run = op_cases::Prepare(op_case, *backend);
    FASTKV_ASSIGN_OR_RETURN(const Measurement measured, MeasureCase(*run, options));
    std::printf("%-24s %-58s %12.4f %10.1f %9.2f", op_case.op.c_str(), op_case.name.c_str(),
                measured.best_ms, run->work().flops / measured.best_ms * 1e-6,
                run->work().bytes / measured.best_ms * 1e-6);
    if (options.ceilings) {
      std::printf("  %18.2f %5.2f", measured.share_of_flops, measured.share_of_bytes);
    }
    std::printf("\n");
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
  app.add_option("--weights", options.weights, "weight type of the CPU back end")
      ->check(CLI::IsMember({"auto", "int8"}))
      ->capture_default_str();
  app.add_option("--op", options.op, "only operations whose name contains this");
  app.add_option("--tokens", options.num_tokens, "rows of a prefill block")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--kv-len", options.kv_len, "entries of a cache")
      ->check(CLI::Range(int64_t{64}, int64_t{1} << 22))
      ->capture_default_str();
  app.add_option("--hidden", options.layer.hidden_size, "hidden size, in matrix products")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 16))
      ->capture_default_str();
  app.add_option("--qkv", options.layer.qkv_size, "query, key and value features together")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 17))
      ->capture_default_str();
  app.add_option("--intermediate", options.layer.intermediate_size, "MLP size")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 17))
      ->capture_default_str();
  app.add_flag("--ceilings", options.ceilings,
               "Measure the CPU's ceilings between the batches and show the shares reached");
  app.add_option("--threads", options.num_threads, "CPU threads; 0: all cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--min-ms", options.min_ms, "time spent on a case")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (options.ceilings && options.backend != "cpu") {
    std::fprintf(stderr, "ops_bench: --ceilings needs --backend cpu\n");
    return 2;
  }
  const fastkv::Status status = fastkv::RunBench(options);
  if (!status.ok()) std::fprintf(stderr, "ops_bench: %s\n", status.message().c_str());
  return fastkv::ExitStatusFor(status);
}
