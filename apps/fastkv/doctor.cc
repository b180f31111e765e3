#include "fastkv/doctor.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/ceilings.h"
#include "backend/cpu/cpu_features.h"
#include "base/parallel_for.h"
#include "engine/session.h"
#include "eval/human_format.h"
#include "fastkv/machine_info.h"
#include "fastkv/model_description.h"
#include "fastkv/version.h"
#include "io/json.h"
#include "model/open_model.h"

namespace fastkv {
namespace {

constexpr double kMeasureMs = 1200;  // per ceiling: three of them stay under five seconds

// A short check that the model's weights are finite and that it makes finite logits.
Status CheckModel(const ModelFlags& flags, std::string& description,
                  std::optional<GgufDescription>& file) {
  FileSystem& files = RealFileSystem();
  FASTKV_ASSIGN_OR_RETURN(const std::string path, ResolveModelPath(files, flags.model));
  {
    FASTKV_ASSIGN_OR_RETURN(file, DescribeModelFile(files, path));
    FASTKV_ASSIGN_OR_RETURN(const OpenedModel model,
                            OpenModel(files, path, DefaultNumThreads(), SystemAllocator()));
    description =
        fmt::format("{}: {}, {} layers, {} query and {} KV heads of size {}, context {}", path,
                    ArchitectureName(model.config.architecture), model.config.num_layers,
                    model.config.num_q_heads, model.config.num_kv_heads, model.config.head_dim,
                    HumanCount(model.config.max_position_embeddings));
    FASTKV_RETURN_IF_ERROR(CheckWeightsFinite(model.config, *model.weights));
  }
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, LoadEngine(flags, /*quiet=*/true));
  const std::vector<int32_t> ids = {1, 2, 3, 4};
  Session session(*engine);
  PrefillRequest request;
  request.ids = ids;
  request.method.name = "full";
  FASTKV_RETURN_IF_ERROR(session.Prefill(request));
  FASTKV_ASSIGN_OR_RETURN(const DecodeReport decode, session.Decode({.max_new_tokens = 1}));
  description += fmt::format("; runs on {} ({})", engine->backend().info().name,
                             engine->backend().info().description);
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine->tokenizer());
  description += fmt::format("; tokenizer with {} ids", HumanCount(tokenizer->vocab_size()));
  return OkStatus();
}

Json Rate(const Result<double>& measured) {
  return measured.ok() ? Json(*measured) : Json(nullptr);
}

std::string RateText(const Json& rate, const char* unit) {
  if (rate.is_null()) return "not available";
  return fmt::format("{:.1f} {}", rate.get<double>() / 1e9, unit);
}

}  // namespace

void AddDoctorOptions(CLI::App& command, DoctorOptions& options) {
  AddModelFlags(command, options.model);
  command.add_flag("--json", options.json, "Print one JSON object");
}

Status RunDoctor(const DoctorOptions& options, std::ostream& out) {
  const int num_threads =
      options.model.num_threads > 0 ? options.model.num_threads : DefaultNumThreads();
  Json report = VersionJson();
  report["cpu"] = ProcValue("/proc/cpuinfo", "model name");
  report["memory"] = ProcValue("/proc/meminfo", "MemTotal");
  report["memory_available"] = ProcValue("/proc/meminfo", "MemAvailable");
  report["threads"] = num_threads;
  report["f32_flops_per_s"] =
      Rate(MeasureMatrixFlopsPerSecond(DType::kF32, num_threads, kMeasureMs));
  report["bf16_flops_per_s"] =
      SelectCpuLevel() >= CpuLevel::kAvx512Bf16
          ? Rate(MeasureMatrixFlopsPerSecond(DType::kBF16, num_threads, kMeasureMs))
          : Json(nullptr);
  report["read_bytes_per_s"] = Rate(MeasureReadBytesPerSecond(num_threads, kMeasureMs));
  std::string model;
  std::optional<GgufDescription> file;
  const Status status = CheckModel(options.model, model, file);
  report["model"] = model;
  if (file) report["model_file"] = DescriptionJson(*file);
  report["model_check"] = status.ok() ? "ok" : status.message();
  if (options.json) {
    out << DumpJson(report) << '\n';
    return status;
  }
  out << VersionLine() << '\n'
      << "CPU            " << report["cpu"].get<std::string>() << ", "
      << CpuLevelTitle(SelectCpuLevel()) << ", " << num_threads << " threads\n"
      << "memory         " << report["memory"].get<std::string>() << " in all, "
      << report["memory_available"].get<std::string>() << " available\n"
      << "f32 products   " << RateText(report["f32_flops_per_s"], "GFLOP/s") << '\n'
      << "bf16 products  " << RateText(report["bf16_flops_per_s"], "GFLOP/s") << '\n'
      << "memory read    " << RateText(report["read_bytes_per_s"], "GB/s") << '\n';
  const Json& devices = report["cuda_devices"];
  if (devices.empty()) out << "GPU            none that this build can use\n";
  for (const Json& device : devices) out << "GPU            " << device.get<std::string>() << '\n';
  out << "model          " << model << '\n';
  if (file) out << DescriptionText(*file);
  out << "model check    " << report["model_check"].get<std::string>() << '\n';
  return status;
}

}  // namespace fastkv
