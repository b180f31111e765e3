#include "fastkv/eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "backend/backend.h"
#include "backend/cpu/cpu_features.h"
#include "build_info.h"
#include "engine/model_shape.h"
#include "eval/engine_prompt_runner.h"
#include "eval/eval_manifest.h"
#include "eval/eval_runner.h"
#include "eval/human_format.h"
#include "eval/suite.h"
#include "fastkv/eval_ruler.h"
#include "fastkv/interrupt.h"
#include "fastkv/progress_bar.h"
#include "fastkv/version.h"
#include "io/file.h"
#include "io/json.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

const std::vector<std::string> kDefaultMethods = {"full", "fastkv"};
constexpr int64_t kMaxSamples = 100'000;
constexpr int64_t kMaxQuestionsPerContext = 64;

std::string LastPathPart(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

// What decides the bits of a result besides the model and the method.
std::string ArithmeticOf(const Backend& backend, const ModelFlags& flags) {
  const BackendInfo& info = backend.info();
  const ComputeTypes& types = backend.types();
  // A description names these types too, but on the CPU the number of threads as well.
  const std::string device =
      info.name == "cpu" ? "cpu, " + std::string(CpuLevelTitle(SelectCpuLevel())) +
                               (types.weights == WeightType::kInt8 ? ", int8 weights" : "") +
                               (types.has_int8_kv() ? ", int8 KV" : "")
                         : info.name + ", " + info.description;
  return device + ", " + std::string(types.activation == DType::kBF16 ? "bf16" : "f32") +
         (flags.rope_dtype == "bf16" ? ", bf16 rotary frequencies" : "");
}

Json MachineOf(const Backend& backend) {
  Json machine = VersionJson();
  machine["device"] = backend.info().name;
  machine["device_description"] = backend.info().description;
  return machine;
}

Result<std::vector<Budget>> BudgetsOf(const EvalOptions& options, const MethodConfig& base) {
  const bool has_single =
      options.method.kv_rate || options.method.kv_tokens || options.method.compression_ratio;
  if (options.kv_rates.empty()) return std::vector<Budget>{base.kv};
  if (has_single) {
    return InvalidArgumentError(
        "--kv-rates stands for --kv-rate, --kv-tokens and --compression-ratio; give one of them");
  }
  std::vector<Budget> budgets;
  for (const double rate : options.kv_rates) budgets.push_back(Budget::Rate(rate));
  return budgets;
}

Result<std::vector<EvalRun>> RunsFor(const EvalOptions& options, const ModelShape& shape) {
  FASTKV_ASSIGN_OR_RETURN(const MethodConfig base, MethodConfigOf(options.method));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<Budget> budgets, BudgetsOf(options, base));
  return MakeEvalRuns(options.methods.empty() ? kDefaultMethods : options.methods, budgets, base,
                      shape);
}

// A prompt longer than the model allows is refused before anything runs.
Status CheckLengths(const Suite& suite, const ModelConfig& config) {
  for (const SampleKey& key : suite.keys()) {
    if (key.length <= config.max_position_embeddings) continue;
    return LimitError(
        fmt::format("--length: the model allows {} tokens, got {}; ask for shorter "
                    "prompts",
                    config.max_position_embeddings, key.length));
  }
  return OkStatus();
}

// Refuses what the suite would not heed.
Status CheckContextOptions(const EvalOptions& options) {
  if (options.questions_per_context > 1 && options.suite != "needle-tasks") {
    return InvalidArgumentError("--questions-per-context: expected the suite needle-tasks, got " +
                                Quoted(options.suite));
  }
  const auto asks_again = {"needle-tasks", "longbench", "infinitebench"};
  if (options.share_context &&
      std::find(asks_again.begin(), asks_again.end(), options.suite) == asks_again.end()) {
    return InvalidArgumentError(
        "--share-context: expected a suite with several questions about one context "
        "(needle-tasks, longbench or infinitebench), got " +
        Quoted(options.suite));
  }
  return OkStatus();
}

void PrintSummary(const EvalOptions& options, const Json& summary, std::ostream& out) {
  if (options.json) {
    out << DumpJson(summary) << '\n';
    return;
  }
  const Result<std::string> table =
      RealFileSystem().ReadFile(JoinPath(options.output, "summary.md"), uint64_t{1} << 30);
  if (table.ok()) out << *table;
  out << "\nReport: " << JoinPath(options.output, "report.html") << '\n';
}

// Nothing where there is no folder.
Result<std::unique_ptr<JiebaSegmenter>> LoadSegmenter(const std::string& folder) {
  if (folder.empty()) return std::unique_ptr<JiebaSegmenter>();
  return JiebaSegmenter::Load(RealFileSystem(), folder);
}

Result<Json> Rescore(FileSystem& files, const EvalOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<JiebaSegmenter> segmenter,
                          LoadSegmenter(options.jieba_folder));
  return RescoreEvaluation(files, options.output, segmenter.get());
}

constexpr int64_t kDefaultRulerSamples = 500;  // RULER's own

Status GenerateRuler(const EvalOptions& options) {
  if (options.suite != "ruler") {
    return InvalidArgumentError("--generate-only: expected the suite ruler, got " +
                                Quoted(options.suite));
  }
  if (options.tasks.size() != 1 || options.lengths.size() != 1) {
    return InvalidArgumentError(
        fmt::format("--generate-only: expected one --task and one --length, got {} and {}",
                    options.tasks.size(), options.lengths.size()));
  }
  return WriteRulerFile(
      {.model = options.model.model,
       .task = options.tasks[0],
       .length_tokens = options.lengths[0],
       .num_samples = options.num_samples > 0 ? options.num_samples : kDefaultRulerSamples,
       .seed = options.seed,
       .output_file = options.output});
}

Result<Json> RunSuite(const EvalOptions& options, const SuiteEntry& entry) {
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel);
  FileSystem& files = RealFileSystem();
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                          LoadEngine(options.model, options.quiet));
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine->tokenizer());
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<JiebaSegmenter> segmenter,
                          LoadSegmenter(options.jieba_folder));
  std::optional<ChatTemplate> chat;
  SuiteOptions suite_options{.files = &files,
                             .tokenizer = tokenizer,
                             .segmenter = segmenter.get(),
                             .window_tokens = engine->config().max_position_embeddings,
                             .model_path = engine->model_path(),
                             .profile = options.profile,
                             .data_folder = options.data_folder,
                             .tasks = options.tasks,
                             .lengths = options.lengths,
                             .depths = options.depths,
                             .num_samples = options.num_samples,
                             .seed = options.seed,
                             .share_context = options.share_context,
                             .questions_per_context = options.questions_per_context};
  if (options.chat) {
    FASTKV_ASSIGN_OR_RETURN(ChatTemplate loaded, ChatTemplate::Load(files, engine->model_path()));
    suite_options.chat_template = &chat.emplace(std::move(loaded));
  }
  FASTKV_RETURN_IF_ERROR(CheckContextOptions(options));
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Suite> suite, entry.create(suite_options));
  FASTKV_RETURN_IF_ERROR(CheckLengths(*suite, engine->config()));

  EvalJob job{
      .entry = &entry, .suite = suite.get(), .segmenter = segmenter.get(), .cancel = &cancel};
  FASTKV_ASSIGN_OR_RETURN(job.runs, RunsFor(options, ShapeOf(engine->config())));
  // The profile's layer is part of what is evaluated: results of two layers do not mix.
  for (EvalRun& run : job.runs) run.method = engine->WithModelDefaults(std::move(run.method));
  if (options.share_context) {
    FASTKV_RETURN_IF_ERROR(ShareContexts(job.runs, ShapeOf(engine->config())));
  }
  EvalIdentity identity{.suite = std::string(entry.name),
                        .model = LastPathPart(engine->model_path()),
                        .build = FASTKV_VERSION " " FASTKV_COMMIT,
                        .arithmetic = ArithmeticOf(engine->backend(), options.model)};
  FASTKV_ASSIGN_OR_RETURN(identity.model_hash, ModelFingerprint(files, engine->model_path()));
  job.manifest.identity = MakeIdentity(identity, *suite, job.runs);
  job.manifest.machine = MachineOf(engine->backend());
  if (!options.shard.empty()) {
    FASTKV_ASSIGN_OR_RETURN(job.manifest.shard, ParseShard(options.shard));
  }
  ProgressBar bar("eval", options.quiet);
  job.on_progress = [&](const EvalProgress& progress) {
    bar.Show(progress.share, fmt::format("{}/{} results, {}", HumanCount(progress.done_results),
                                         HumanCount(progress.total_results), progress.task));
  };
  job.on_note = [&](const std::string& note) {
    if (!options.quiet) fmt::print(stderr, "fastkv eval: {}\n", note);
  };
  EnginePromptRunner runner(*engine, *tokenizer, &cancel);
  return RunEvaluation(files, options.output, job, runner);
}

}  // namespace

void AddEvalOptions(CLI::App& command, EvalOptions& options) {
  std::string suites;
  for (const SuiteEntry& entry : RegisteredSuites()) {
    suites += fmt::format("{}{} ({})", suites.empty() ? "" : "; ", entry.name, entry.description);
  }
  command.add_option("suite", options.suite, "What to run: " + suites);
  AddModelFlags(command, options.model);
  AddMethodFlags(command, options.method);
  command
      .add_option("--methods", options.methods,
                  "Methods to compare over the same samples [default: full,fastkv]")
      ->delimiter(',');
  command
      .add_option("--kv-rates", options.kv_rates,
                  "Budgets to compare: every method is run with each of these shares kept")
      ->delimiter(',');
  command.add_option("--tasks,--task", options.tasks, "Tasks of the suite [default: all]")
      ->delimiter(',');
  command
      .add_option("--length,--lengths", options.lengths,
                  "Prompt lengths in tokens [default: the suite's]")
      ->delimiter(',');
  command
      .add_option("--depths", options.depths,
                  "niah: how deep in the prompt the needle lies, in percent")
      ->delimiter(',');
  command
      .add_option("--samples,--limit", options.num_samples,
                  "Samples of each task and length [default: the suite's]")
      ->check(CLI::Range(int64_t{1}, kMaxSamples));
  command
      .add_option("--questions-per-context", options.questions_per_context,
                  "needle-tasks: consecutive samples that ask about one context")
      ->check(CLI::Range(int64_t{1}, kMaxQuestionsPerContext))
      ->capture_default_str();
  command.add_flag("--share-context", options.share_context,
                   "Methods that do not look at the question compress each context once, without "
                   "it, and every question is appended; others run as without this");
  command.add_option("-s,--seed", options.seed, "Seed of the samples")->capture_default_str();
  command.add_option("--data", options.data_folder,
                     "Folder with the suite's data, where it needs or takes some");
  command.add_option("--rules", options.profile,
                     "Whose prompts and rules: official or fastkv, where the suite knows both "
                     "[default: official]");
  command.add_option("--jieba-dict", options.jieba_folder,
                     "Folder of the Python package jieba, for LongBench's Chinese sets");
  command.add_flag("--generate-only", options.generate_only,
                   "ruler: write the samples of one task and length to the file --output, run "
                   "nothing");
  command.add_flag("--chat", options.chat, "Wrap the prompts in the model's chat template");
  command.add_option("-o,--output,--output-path", options.output,
                     "Folder for results and report; one that holds a part of the same evaluation "
                     "is gone on with");
  command.add_option("--shard", options.shard,
                     "Run part i of n only, as in 1/4; `fastkv eval merge` puts them together");
  command.add_flag("--rescore", options.rescore,
                   "Score the results in --output anew without running anything");
  command.add_flag("--json", options.json, "Print the summary as one JSON object");
  command.add_flag("-q,--quiet", options.quiet, "No progress, no notes");

  CLI::App* merge = command.add_subcommand("merge", "Put the folders of all shards together");
  merge->add_option("folders", options.merge_folders, "Folders of shards");
  merge->add_option("-o,--output,--output-path", options.output, "Folder for the whole");
  merge->add_flag("--json", options.json, "Print the summary as one JSON object");
  merge->callback([&options] { options.merge = true; });

  CLI::App* score = command.add_subcommand("score", "Score given predictions");
  AddEvalScoreOptions(*score, options.score);
  score->callback([&options] { options.score_only = true; });
}

Status RunEval(const EvalOptions& options, std::ostream& out) {
  if (options.score_only) return RunEvalScore(options.score, out);
  if (options.output.empty()) {
    return InvalidArgumentError(
        "expected a folder for the results; give one with --output, such as --output results");
  }
  if (options.generate_only) return GenerateRuler(options);
  FileSystem& files = RealFileSystem();
  Result<Json> summary = [&]() -> Result<Json> {
    if (options.merge) return MergeEvaluations(files, options.merge_folders, options.output);
    if (options.rescore) return Rescore(files, options);
    FASTKV_ASSIGN_OR_RETURN(const SuiteEntry* entry, FindSuite(options.suite));
    return RunSuite(options, *entry);
  }();
  if (!summary.ok()) return summary.status();
  PrintSummary(options, *summary, out);
  return OkStatus();
}

}  // namespace fastkv
