#include "fastkv/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/parallel_for.h"
#include "eval/human_format.h"
#include "eval/speed_page.h"
#include "eval/speed_report.h"
#include "fastkv/bench_output.h"
#include "fastkv/bench_run.h"
#include "fastkv/interrupt.h"
#include "fastkv/machine_info.h"
#include "fastkv/number_list.h"
#include "fastkv/output_path.h"
#include "fastkv/progress_bar.h"
#include "fastkv/version.h"
#include "io/json.h"
#include "io/quoted.h"
#include "model/random_weights.h"

namespace fastkv {
namespace {

// "llama-3.1-8b (random weights)" of "/shapes/llama-3.1-8b.json".
std::string ModelName(const Engine& engine, bool is_shape) {
  constexpr std::string_view kEnding = ".json";
  std::string name = engine.model_name();
  if (!is_shape) return name;
  if (name.size() > kEnding.size() && name.ends_with(kEnding)) {
    name.resize(name.size() - kEnding.size());
  }
  return name + " (random weights)";
}

// The type of blocks that --weights names, if it does.
std::optional<StoredType> BlockTypeOf(const BenchOptions& options) {
  const std::optional<StoredType> type = FindStoredType(options.model.weights);
  return type.has_value() && !IsElementType(*type) ? type : std::nullopt;
}

std::string AsciiLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// auto, int8 and the names of all types of blocks, in lower case.
std::vector<std::string> WeightNames() {
  std::vector<std::string> names = {"auto", "int8"};
  for (int i = 0; i < kNumStoredTypes; ++i) {
    if (IsElementType(static_cast<StoredType>(i))) continue;
    names.push_back(AsciiLower(StoredTypeName(static_cast<StoredType>(i))));
  }
  return names;
}

// Bytes of a model's tensors with its matrices in `type`. Errors: those of TypeOfMatrix.
Result<int64_t> RandomWeightBytes(const ModelConfig& config, StoredType type) {
  int64_t bytes = 0;
  for (const ExpectedTensor& tensor : ExpectedTensors(config)) {
    if (tensor.shape.size() == 1) {
      bytes += tensor.shape[0] * DTypeBytes(DType::kF32);
      continue;
    }
    FASTKV_ASSIGN_OR_RETURN(const StoredType stored,
                            RandomWeights::TypeOfMatrix(type, tensor.name, tensor.shape[1]));
    bytes += tensor.shape[0] * RowBytes(stored, tensor.shape[1]);
  }
  return bytes;
}

Result<std::unique_ptr<Engine>> MakeRandomEngine(const BenchOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(const Json json,
                          ReadJsonFile(RealFileSystem(), options.shape, limits::kMaxConfigBytes));
  FASTKV_ASSIGN_OR_RETURN(const ModelConfig config, ParseModelConfig(json, options.shape));
  const StoredType type = BlockTypeOf(options).value_or(StoredType::kBF16);
  FASTKV_ASSIGN_OR_RETURN(const int64_t wanted, RandomWeightBytes(config, type));
  const std::optional<int64_t> available = AvailableMemoryBytes();
  if (available.has_value() && wanted > *available) {
    return MemoryError("--shape: the weights of " + options.shape + " take " + HumanBytes(wanted) +
                       " and " + HumanBytes(*available) +
                       " of memory are available; take a smaller shape");
  }
  EngineOptions engine_options = EngineOptionsOf(options.model);
  engine_options.model_path = options.shape;
  const int num_threads =
      options.model.num_threads > 0 ? options.model.num_threads : DefaultNumThreads();
  ProgressBar bar("random weights", options.quiet);
  return Engine::FromWeights(
      config, std::make_unique<RandomWeights>(options.seed, num_threads, SystemAllocator(), type),
      engine_options, [&](int64_t done, int64_t total) {
        bar.Show(static_cast<double>(done) / static_cast<double>(total),
                 "layer " + std::to_string(done) + "/" + std::to_string(total));
      });
}

Result<std::vector<MethodConfig>> MethodsOf(const BenchOptions& options) {
  std::vector<MethodConfig> methods;
  for (const std::string& name : options.methods) {
    if (name.empty()) return InvalidArgumentError("--methods: a name is empty; give such as full");
    const bool is_there =
        std::any_of(methods.begin(), methods.end(),
                    [&](const MethodConfig& config) { return config.name == name; });
    if (is_there) continue;
    MethodFlags flags = options.method;
    flags.method = name;
    FASTKV_ASSIGN_OR_RETURN(MethodConfig config, MethodConfigOf(flags));
    methods.push_back(std::move(config));
  }
  if (methods.empty()) return InvalidArgumentError("--methods: give at least one name");
  return methods;
}

std::string Joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

std::string CommandOf(const BenchOptions& options) {
  std::string command = "fastkv bench";
  if (!options.shape.empty()) {
    command += " --shape " + options.shape;
  } else if (!options.model.model.empty()) {
    command += " --model " + options.model.model;
  }
  command += fmt::format(" --contexts {} --methods {} --new-tokens {} --repeat {}",
                         Joined(options.contexts), Joined(options.methods), options.new_tokens,
                         options.repeat);
  if (options.model.weights != "auto") command += " --weights " + options.model.weights;
  if (options.model.kv_dtype != "auto") command += " --kv-dtype " + options.model.kv_dtype;
  if (options.batch > 1) command += fmt::format(" --batch {}", options.batch);
  return command;
}

Json ModelJson(const Engine& engine, const std::string& name) {
  const ModelConfig& config = engine.config();
  Json json;
  json["name"] = name;
  json["path"] = engine.model_path();
  json["layers"] = config.num_layers;
  json["hidden_size"] = config.hidden_size;
  json["q_heads"] = config.num_q_heads;
  json["kv_heads"] = config.num_kv_heads;
  json["head_dim"] = config.head_dim;
  // Read for one decoded token, and held by the device beside the peaks of the rows.
  json["weight_bytes"] = engine.model().weight_bytes();
  json["weight_memory_bytes"] = engine.weight_memory_bytes();
  return json;
}

std::string Render(const Engine& engine, const SpeedReport& report, const std::string& format) {
  if (format == "md") return SpeedMarkdown(report);
  if (format == "csv") return SpeedCsv(report);
  if (format == "text") return SpeedTable(report);
  Json json;
  json["machine"] = MachineJson(engine.backend());
  json["build"] = BuildJson();
  json["model"] = ModelJson(engine, report.model);
  json["command"] = report.command;
  json["rows"] = Json::array();
  for (const SpeedRow& row : report.rows) json["rows"].push_back(SpeedRowJson(row));
  return DumpJson(json) + "\n";
}

}  // namespace

void AddBenchOptions(CLI::App& command, BenchOptions& options) {
  AddModelFlags(command, options.model);
  AddMethodFlags(command, options.method);
  command.remove_option(command.get_option("--method"));
  command.remove_option(command.get_option("--weights"));
  command
      .add_option("--weights", options.model.weights,
                  "Weights of the matrix products: auto (as in the files), or int8 (rounded while "
                  "loading; CPU only); with --shape also a type of blocks, such as q4_0 or q4_k")
      ->capture_default_str()
      ->check(CLI::IsMember(WeightNames()));
  command
      .add_option("-p,-d,--contexts", options.contexts,
                  "Lengths of the prompt in tokens: a list with commas; 1024-8192*2 doubles, "
                  "1000-3000+500 steps")
      ->capture_default_str()
      ->delimiter(',');
  command.add_option("--methods", options.methods, "Methods to run in turn: a list with commas")
      ->capture_default_str()
      ->delimiter(',');
  command.add_option("-n,--new-tokens", options.new_tokens, "Tokens to decode behind each prompt")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  command.add_option("-r,--repeat", options.repeat, "Runs of each method at each context")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  command
      .add_option("-b,--batch", options.batch,
                  "Sequences decoded together, each with its own KV memory")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  command
      .add_option("--shape", options.shape,
                  "A config.json instead of --model: random weights in its sizes")
      ->excludes("--model")
      ->excludes("--profile");
  command.add_option("-s,--seed", options.seed, "Seed of prompts and random weights")
      ->capture_default_str();
  command
      .add_option("--ceiling-ms", options.ceiling_ms,
                  "Time for each of the device's ceilings, before and after each run; 0: none")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 60000.0));
  command.add_flag("--breakdown", options.breakdown,
                   "One more, slower run of each: the time of every operation");
  command.add_option("--page", options.page, "Write a page with plots to this file");
  command.add_option("-o,--output-format", options.format, "text, md, csv or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "md", "csv", "json"}));
  command.add_flag("--json", options.json, "Print one JSON object; the same as -o json");
  command.add_flag("-q,--quiet", options.quiet, "No progress bar");
}

Status RunBench(const BenchOptions& options, std::ostream& out) {
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel);
  FASTKV_RETURN_IF_ERROR(CheckOutputPath("--page", options.page));
  if (options.shape.empty() && BlockTypeOf(options).has_value()) {
    return InvalidArgumentError("--weights " + options.model.weights +
                                ": random weights need --shape; a model's are as in its files");
  }
  BenchRunOptions run;
  FASTKV_ASSIGN_OR_RETURN(run.contexts, ParseNumberList("--contexts", options.contexts));
  FASTKV_ASSIGN_OR_RETURN(run.methods, MethodsOf(options));
  run.new_tokens = options.new_tokens;
  run.repeat = options.repeat;
  run.batch = options.batch;
  run.seed = options.seed;
  run.ceiling_ms = options.ceiling_ms;
  run.breakdown = options.breakdown;
  run.require_method = options.method.require_method;
  run.cancel = &cancel;
  Result<std::unique_ptr<Engine>> loaded =
      options.shape.empty() ? LoadEngine(options.model, options.quiet) : MakeRandomEngine(options);
  if (!loaded.ok()) return loaded.status();
  const Engine& engine = **loaded;
  ProgressBar bar("bench", options.quiet);
  run.on_progress = [&](double done, const std::string& doing) { bar.Show(done, doing); };
  SpeedReport report;
  const Status status = RunBenchRows(engine, run, report.rows);
  bar.Clear();
  // What an error or Ctrl-C cut short shows what it has: hours may lie behind it.
  if (!status.ok() && report.rows.empty()) return status;
  report.model = ModelName(engine, !options.shape.empty());
  const BackendInfo& info = engine.backend().info();
  report.machine = fmt::format("{}: {}, {}", info.name, info.description,
                               DTypeName(engine.backend().types().activation));
  report.command = CommandOf(options);
  if (!options.page.empty()) {
    FASTKV_RETURN_IF_ERROR(RealFileSystem().WriteFile(options.page, RenderSpeedPage(report)));
  }
  out << Render(engine, report, options.json ? "json" : options.format);
  return status;
}

}  // namespace fastkv
