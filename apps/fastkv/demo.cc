#include "fastkv/demo.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "eval/human_format.h"
#include "eval/needle_tasks.h"
#include "eval/selection_page.h"
#include "fastkv/comparison_table.h"
#include "fastkv/demo_run.h"
#include "fastkv/interrupt.h"
#include "fastkv/output_path.h"
#include "fastkv/progress_bar.h"
#include "io/json.h"

namespace fastkv {
namespace {

constexpr double kMsPerSecond = 1000;

Json MethodJson(const ComparedMethod& method) {
  Json json;
  json["name"] = method.name;
  json["first_token_ms"] = method.first_token_ms;
  json["decode_ms_per_token"] = method.decode_ms_per_token;
  json["kv_bytes"] = method.kv_bytes;
  json["right_answers"] = method.NumRight();
  json["answers"] = Json::array();
  for (const GivenAnswer& answer : method.answers) {
    Json item;
    item["text"] = answer.text;
    item["score"] = answer.score;
    json["answers"].push_back(std::move(item));
  }
  return json;
}

Json ComparisonJson(const MethodComparison& comparison, const std::string& page) {
  Json json;
  json["model"] = comparison.model;
  json["machine"] = comparison.machine;
  json["prompt_tokens"] = comparison.prompt_tokens;
  json["questions"] = Json::array();
  for (const ComparedQuestion& question : comparison.questions) {
    Json item;
    item["question"] = question.question;
    item["expected"] = question.expected;
    json["questions"].push_back(std::move(item));
  }
  json["methods"] = Json::array({MethodJson(comparison.baseline), MethodJson(comparison.method)});
  json["page"] = page;
  return json;
}

// One bar for each run: a run is a prefill, and each prefill has its own time left.
class DemoBar {
 public:
  explicit DemoBar(bool quiet) : quiet_(quiet) {}

  void Show(const std::string& run, const PrefillProgress& progress, int64_t prompt_tokens) {
    if (!bar_ || run != run_) {
      bar_ = std::make_unique<PrefillBar>(run, quiet_);
      run_ = run;
    }
    bar_->Show(progress, prompt_tokens);
  }
  void Clear() { bar_.reset(); }

 private:
  const bool quiet_;
  std::string run_;
  std::unique_ptr<PrefillBar> bar_;
};

std::string CommandOf(const DemoOptions& options) {
  std::string command = "fastkv demo";
  const DemoOptions defaults;
  if (!options.model.model.empty()) command += " --model " + options.model.model;
  if (options.method.method != defaults.method.method) {
    command += " --method " + options.method.method;
  }
  if (options.context_tokens != defaults.context_tokens) {
    command += " --context " + std::to_string(options.context_tokens);
  }
  if (options.seed != defaults.seed) command += " --seed " + std::to_string(options.seed);
  return command;
}

std::string PlaceOf(const std::string& path) {
  const Result<std::string> real = RealFileSystem().RealPath(path);
  return real.ok() ? real.value() : path;
}

}  // namespace

void AddDemoOptions(CLI::App& command, DemoOptions& options) {
  AddModelFlags(command, options.model);
  AddMethodFlags(command, options.method);
  command.add_option("-c,--context", options.context_tokens, "Length of the prompt in tokens")
      ->capture_default_str()
      ->check(CLI::Range(kMinNeedleTokens, int64_t{1} << 20));
  command.add_option("--questions", options.max_questions, "Questions to ask, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 5));
  command
      .add_option("--seconds", options.time_budget_seconds,
                  "Begin no further question that would take the runs beyond this time")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command.add_option("-s,--seed", options.seed, "Seed of the prompt")->capture_default_str();
  command.add_option("-o,--output", options.page, "Where to write the page; empty: nowhere")
      ->capture_default_str();
  command.add_flag("--json", options.json, "Print one JSON object");
  command.add_flag("-q,--quiet", options.quiet, "No progress bar");
}

Status RunDemo(const DemoOptions& options, std::ostream& out) {
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel);
  FASTKV_RETURN_IF_ERROR(CheckOutputPath("--output", options.page));
  DemoRunOptions run;
  FASTKV_ASSIGN_OR_RETURN(run.method, MethodConfigOf(options.method));
  run.context_tokens = options.context_tokens;
  run.max_questions = options.max_questions;
  run.time_budget_ms = options.time_budget_seconds * kMsPerSecond;
  run.seed = options.seed;
  run.cancel = &cancel;
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                          LoadEngine(options.model, options.quiet));
  DemoBar bar(options.quiet);
  run.on_progress = [&](const std::string& name, const PrefillProgress& progress) {
    bar.Show(name, progress, options.context_tokens);
  };
  Result<SelectionPageData> result = RunDemoQuestions(*engine, run);
  bar.Clear();
  if (!result.ok()) return result.status();
  SelectionPageData& data = result.value();
  data.command = CommandOf(options);
  if (!options.page.empty()) {
    FASTKV_RETURN_IF_ERROR(RealFileSystem().WriteFile(options.page, RenderSelectionPage(data)));
  }

  const MethodComparison& comparison = data.comparison;
  if (options.json) {
    out << DumpJson(ComparisonJson(comparison, options.page)) << '\n';
    return OkStatus();
  }
  out << fmt::format("\n  {}, a prompt of {} tokens, {} question{}\n  {}\n  {}\n\n",
                     comparison.model, HumanCount(comparison.prompt_tokens),
                     comparison.questions.size(), comparison.questions.size() == 1 ? "" : "s",
                     data.method_text, comparison.machine)
      << ComparisonTable(comparison, StandardOutputTakesColour());
  if (!options.page.empty()) {
    out << "\n  What was kept, as a picture: " << PlaceOf(options.page) << '\n';
  }
  return OkStatus();
}

}  // namespace fastkv
