#include "fastkv/bench_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/random.h"
#include "engine/model_shape.h"
#include "engine/plan_cost.h"
#include "engine/timed_backend.h"
#include "eval/human_format.h"
#include "fastkv/bench_pass.h"
#include "fastkv/machine_info.h"
#include "method/method.h"

namespace fastkv {
namespace {

// Long enough for all plans and pages of a prompt on a GPU; a slow device has warmed up by then.
constexpr double kWarmUpMs = 5000;
constexpr int64_t kWarmUpSteps = 4;
// Steps of decoding that a breakdown is the mean of.
constexpr int64_t kBreakdownSteps = 8;
// Floating-point operations in the time that a byte takes to read, roughly; for the time left only.
constexpr double kFlopsPerByte = 10;

constexpr int64_t kPositionBytes = 4;

// What the plan of one method at one context foresees.
struct Prediction {
  double prefill_flops = 0;
  double decode_bytes = 0;  // of one step
  int64_t prefill_memory_bytes = 0;
  int64_t kept_bytes = 0;  // of one sequence, positions included
};

Prediction Predict(const Engine& engine, const PrefillPlan& plan, int64_t batch,
                   int64_t new_tokens) {
  const ModelConfig& config = engine.config();
  const ComputeTypes types = engine.backend().types();
  // Without positions, which are not read.
  const KvGeometry geometry = KvGeometryOf(config, types);
  const auto frozen_bytes =
      static_cast<double>(config.num_kv_heads * (geometry.FrozenEntryBytes() - kPositionBytes));
  const auto tail_bytes =
      static_cast<double>(config.num_kv_heads * (geometry.EntryBytes() - kPositionBytes));
  const int64_t recent = plan.eviction.has_value() ? plan.eviction->recent_rows : 0;
  // Step i of n reads i entries of the tail, and those of the prompt that stand there.
  const double mean_tail = static_cast<double>(recent) + static_cast<double>(new_tokens + 1) / 2;
  double kv_bytes = 0;
  for (const LayerPlan& layer : plan.layers) {
    kv_bytes += static_cast<double>(layer.kv_len - recent) * frozen_bytes + mean_tail * tail_bytes;
  }
  const PlannedMemory memory =
      PrefillMemory(config, plan, types, engine.backend().info().max_block_tokens);
  return {.prefill_flops = PrefillFlops(config, plan, LastLayerRows(plan)),
          .decode_bytes = static_cast<double>(engine.model().weight_bytes()) +
                          static_cast<double>(batch) * kv_bytes,
          .prefill_memory_bytes = memory.total_bytes(),
          .kept_bytes = memory.kept_kv_bytes};
}

double MedianOf(const std::vector<DeviceCeilings>& ceilings, double DeviceCeilings::*rate) {
  std::vector<double> rates;
  for (const DeviceCeilings& one : ceilings) rates.push_back(one.*rate);
  return SpreadOf(std::move(rates)).median;
}

// One row in the making.
struct RowRun {
  std::unique_ptr<Method> method;
  Prediction prediction;
  double full_flops = 0;  // of the prefill that keeps everything
  SpeedRow row;
  std::vector<double> prefill_ms;
  std::vector<double> decode_ms_per_token;
  std::vector<DeviceCeilings> ceilings;

  bool failed() const { return !row.ok(); }
};

class BenchRunner {
 public:
  BenchRunner(const Engine& engine, const BenchRunOptions& options)
      : engine_(engine), options_(options) {}

  Status Run(std::vector<SpeedRow>& rows) {
    std::vector<std::vector<RowRun>> contexts;
    for (const int64_t context : options_.contexts) {
      FASTKV_ASSIGN_OR_RETURN(std::vector<RowRun> runs, Prepare(context));
      contexts.push_back(std::move(runs));
    }
    for (const std::vector<RowRun>& runs : contexts) {
      for (const RowRun& run : runs) {
        total_work_ += static_cast<double>(options_.repeat) * WorkOf(run.prediction);
      }
    }
    for (std::vector<RowRun>& runs : contexts) {
      FASTKV_RETURN_IF_ERROR(RunContext(runs));
      for (RowRun& run : runs) rows.push_back(std::move(run.row));
    }
    return OkStatus();
  }

 private:
  double WorkOf(const Prediction& prediction) const {
    return prediction.prefill_flops +
           static_cast<double>(options_.new_tokens) * prediction.decode_bytes * kFlopsPerByte;
  }

  Result<std::vector<RowRun>> Prepare(int64_t context) {
    const ModelShape shape = ShapeOf(engine_.config());
    FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> full,
                            CreateMethod({.name = "full"}, shape));
    FASTKV_ASSIGN_OR_RETURN(const PrefillPlan full_plan, full->Plan(context));
    const Prediction of_full = Predict(engine_, full_plan, options_.batch, options_.new_tokens);
    std::vector<RowRun> runs;
    for (const MethodConfig& config : options_.methods) {
      RowRun run;
      FASTKV_ASSIGN_OR_RETURN(run.method, CreateMethod(engine_.WithModelDefaults(config), shape));
      FASTKV_ASSIGN_OR_RETURN(const PrefillPlan plan, run.method->Plan(context));
      FASTKV_RETURN_IF_ERROR(CheckDrops(config.name, context, plan));
      run.full_flops = of_full.prefill_flops;
      Foresee(run, plan);
      run.row.method = config.name;
      run.row.context = context;
      run.row.batch = options_.batch;
      run.row.new_tokens = options_.new_tokens;
      run.row.repeat = options_.repeat;
      run.row.full_kv_bytes =
          options_.batch *
          KvGeometryOf(engine_.config(), engine_.backend().types()).FullBytes(context);
      runs.push_back(std::move(run));
    }
    return runs;
  }

  Status CheckDrops(const std::string& method, int64_t context, const PrefillPlan& plan) const {
    if (!options_.require_method || method == "full" || plan.MayDrop()) return OkStatus();
    return InvalidArgumentError(fmt::format(
        "--require-method: {} drops nothing of {} tokens at this budget; lower the budget, or give "
        "longer contexts",
        method, context));
  }

  void Foresee(RowRun& run, const PrefillPlan& plan) const {
    run.prediction = Predict(engine_, plan, options_.batch, options_.new_tokens);
    run.row.predicted_flops = run.prediction.prefill_flops;
    run.row.predicted_speedup_prefill = run.full_flops / run.prediction.prefill_flops;
    run.row.predicted_decode_bytes = run.prediction.decode_bytes;
  }

  Status RunContext(std::vector<RowRun>& runs) {
    MakePrompt(runs.front().row.context);
    for (RowRun& run : runs) FASTKV_RETURN_IF_ERROR(WarmUp(run));
    std::optional<DeviceCeilings> before;
    FASTKV_RETURN_IF_ERROR(MeasureCeilings(before));
    for (int64_t turn = 0; turn < options_.repeat; ++turn) {
      for (RowRun& run : runs) {
        FASTKV_RETURN_IF_ERROR(Measure(run, turn));
        done_work_ += WorkOf(run.prediction);
        if (run.failed()) continue;
        std::optional<DeviceCeilings> after;
        FASTKV_RETURN_IF_ERROR(MeasureCeilings(after));
        if (before.has_value()) run.ceilings.push_back(*before);
        if (after.has_value()) run.ceilings.push_back(*after);
        before = after;
      }
    }
    for (RowRun& run : runs) {
      if (options_.breakdown && !run.failed()) FASTKV_RETURN_IF_ERROR(BreakDown(run));
    }
    Summarise(runs);
    return OkStatus();
  }

  void MakePrompt(int64_t context) {
    Random random(options_.seed);
    ids_.resize(context);
    for (int32_t& id : ids_) {
      id = static_cast<int32_t>(random.NextInt(engine_.config().vocab_size));
    }
  }

  // A failure for want of memory becomes the row's error; any other ends everything.
  static Status TakeFailure(const Status& status, RowRun& run) {
    if (status.code() != StatusCode::kMemory) return status;
    run.row.error = status.message();
    return OkStatus();
  }

  // Host memory is promised before it is there, and taken back by ending the process.
  Status CheckHostMemory(const RowRun& run) const {
    const std::string& device = engine_.backend().info().name;
    if (device.rfind("cuda", 0) == 0) return OkStatus();
    const int64_t wanted =
        std::max(run.prediction.prefill_memory_bytes, options_.batch * run.prediction.kept_bytes);
    const std::optional<int64_t> available = AvailableMemoryBytes();
    if (!available.has_value() || wanted <= *available) return OkStatus();
    return MemoryError("the run needs " + HumanBytes(wanted) + " and " + HumanBytes(*available) +
                       " are available; lower --contexts or --batch");
  }

  Status WarmUp(RowRun& run) {
    Show(run, "warming up");
    const Status fits = CheckHostMemory(run);
    if (!fits.ok()) return TakeFailure(fits, run);
    BenchPassOptions pass = PassOptions();
    pass.new_tokens = std::min(kWarmUpSteps, options_.new_tokens);
    pass.prefill_limit_ms = kWarmUpMs;
    const Result<BenchPassResult> result =
        RunBenchPass(engine_, engine_.backend(), *run.method, pass);
    return result.ok() ? OkStatus() : TakeFailure(result.status(), run);
  }

  Status MeasureCeilings(std::optional<DeviceCeilings>& ceilings) {
    if (options_.ceiling_ms <= 0) return OkStatus();
    Result<DeviceCeilings> measured = engine_.backend().MeasureCeilings(options_.ceiling_ms);
    if (!measured.ok()) {
      const StatusCode code = measured.status().code();
      // A row without its yardstick is still a row.
      if (code == StatusCode::kMemory || code == StatusCode::kUnsupported) return OkStatus();
      return measured.status();
    }
    ceilings = *measured;
    if (options_.cancel != nullptr && options_.cancel->cancelled()) {
      return CancelledError("interrupted");
    }
    return OkStatus();
  }

  Status Measure(RowRun& run, int64_t turn) {
    if (run.failed()) return OkStatus();
    const std::string doing = fmt::format("run {} of {}", turn + 1, options_.repeat);
    Show(run, doing);
    BenchPassOptions pass = PassOptions();
    pass.new_tokens = options_.new_tokens;
    pass.on_progress = [&](const PrefillProgress& progress) {
      prefill_work_ = progress.done_flops;
      Show(run, doing);
    };
    const Result<BenchPassResult> result =
        RunBenchPass(engine_, engine_.backend(), *run.method, pass);
    prefill_work_ = 0;
    if (!result.ok()) return TakeFailure(result.status(), run);
    run.prefill_ms.push_back(result->prefill_ms);
    if (options_.new_tokens > 0) {
      run.decode_ms_per_token.push_back(result->decode_ms /
                                        static_cast<double>(options_.new_tokens));
    }
    // Cuts that depend on the prompt are planned as bounds and settled by now.
    Foresee(run, result->plan);
    FASTKV_RETURN_IF_ERROR(CheckDrops(run.row.method, run.row.context, result->plan));
    run.row.kv_bytes = result->kv_bytes;
    run.row.peak_bytes = std::max(run.row.peak_bytes, result->peak_bytes);
    return OkStatus();
  }

  Status BreakDown(RowRun& run) {
    Show(run, "where the time goes");
    TimedBackend timed(engine_.backend(), engine_.model(), engine_.clock());
    BenchPassOptions pass = PassOptions();
    pass.new_tokens = std::min(kBreakdownSteps, options_.new_tokens);
    PassBreakdown prefill;
    // The choice of the first token and the copies of the cache belong to neither part.
    pass.on_prefilled = [&] { prefill.operations = timed.Times(); };
    pass.on_decoding = [&] { timed.Reset(); };
    const Result<BenchPassResult> result = RunBenchPass(engine_, timed, *run.method, pass);
    if (!result.ok()) return TakeFailure(result.status(), run);
    prefill.total_ms = result->prefill_ms;
    run.row.prefill_breakdown = WithOther(std::move(prefill));
    if (pass.new_tokens > 0) {
      run.row.decode_breakdown = WithOther(
          {.total_ms = result->decode_ms, .steps = pass.new_tokens, .operations = timed.Times()});
    }
    return OkStatus();
  }

  static PassBreakdown WithOther(PassBreakdown breakdown) {
    breakdown.other_ms = breakdown.total_ms;
    for (const OperationTime& time : breakdown.operations) breakdown.other_ms -= time.ms;
    return breakdown;
  }

  void Summarise(std::vector<RowRun>& runs) const {
    const RowRun* full = nullptr;
    for (RowRun& run : runs) {
      if (run.failed()) continue;
      run.row.prefill_ms = SpreadOf(run.prefill_ms);
      if (!run.decode_ms_per_token.empty()) {
        run.row.decode_ms_per_token = SpreadOf(run.decode_ms_per_token);
      }
      if (!run.ceilings.empty()) {
        run.row.ceiling = DeviceCeilings{
            .matrix_type = run.ceilings.front().matrix_type,
            .matrix_flops_per_s = MedianOf(run.ceilings, &DeviceCeilings::matrix_flops_per_s),
            .read_bytes_per_s = MedianOf(run.ceilings, &DeviceCeilings::read_bytes_per_s),
            .copy_bytes_per_s = MedianOf(run.ceilings, &DeviceCeilings::copy_bytes_per_s),
            .attention_flops_per_s =
                MedianOf(run.ceilings, &DeviceCeilings::attention_flops_per_s)};
      }
      if (run.row.method == "full") full = &run;
    }
    if (full == nullptr) return;
    for (RowRun& run : runs) {
      if (run.failed()) continue;
      run.row.speedup_prefill = full->row.prefill_ms.median / run.row.prefill_ms.median;
      if (run.row.decode_ms_per_token.has_value()) {
        run.row.speedup_decode =
            full->row.decode_ms_per_token->median / run.row.decode_ms_per_token->median;
      }
    }
  }

  BenchPassOptions PassOptions() const {
    BenchPassOptions pass;
    pass.ids = ids_;
    pass.batch = options_.batch;
    pass.cancel = options_.cancel;
    return pass;
  }

  void Show(const RowRun& run, const std::string& doing) const {
    if (!options_.on_progress) return;
    options_.on_progress(
        (done_work_ + prefill_work_) / total_work_,
        fmt::format("{} at {}, {}", run.row.method, HumanCount(run.row.context), doing));
  }

  const Engine& engine_;
  const BenchRunOptions& options_;
  std::vector<int32_t> ids_;
  double total_work_ = 0;
  double done_work_ = 0;
  double prefill_work_ = 0;  // of the run that is under way
};

}  // namespace

Status RunBenchRows(const Engine& engine, const BenchRunOptions& options,
                    std::vector<SpeedRow>& rows) {
  const int64_t most = engine.config().max_position_embeddings;
  for (const int64_t context : options.contexts) {
    if (context > most) {
      return LimitError(
          fmt::format("--contexts: {} tokens, but the model allows {}; lower it, or raise "
                      "max_position_embeddings in a file for --shape",
                      context, most));
    }
  }
  return BenchRunner(engine, options).Run(rows);
}

}  // namespace fastkv
