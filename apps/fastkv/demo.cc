#include "fastkv/demo.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "eval/human_format.h"
#include "eval/needle_tasks.h"
#include "eval/selection_page.h"
#include "fastkv/comparison_table.h"
#include "fastkv/demo_document.h"
#include "fastkv/demo_run.h"
#include "fastkv/interrupt.h"
#include "fastkv/output_path.h"
#include "fastkv/progress_bar.h"
#include "io/json.h"

namespace fastkv {
namespace {

constexpr double kMsPerSecond = 1000;
// On every Debian machine (package base-files), and close to what SmolLM2 can read at all.
constexpr char kDocument[] = "/usr/share/common-licenses/GPL-3";
constexpr char kQuestion[] = "In two sentences, what is this document about?";
constexpr int64_t kMaxDocumentTokens = 6500;
constexpr int64_t kMaxAnswerTokens = 96;
constexpr int64_t kMarkupTokens = 128;  // more than the chat template and the question take

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

Json ComparisonJson(const MethodComparison& comparison) {
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
  return json;
}

Json DemoJson(const SelectionPageData& data, const std::string& page) {
  Json json = ComparisonJson(data.comparison);
  json["document"] = nullptr;
  if (data.document) {
    json["document"] = ComparisonJson(data.document->comparison);
    json["document"]["name"] = data.document->name;
  }
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
  if (!options.chat_model.empty()) command += " --chat-model " + options.chat_model;
  if (!options.document.empty()) command += " --document " + options.document;
  return command;
}

std::string PlaceOf(const std::string& path) {
  const Result<std::string> real = RealFileSystem().RealPath(path);
  return real.ok() ? real.value() : path;
}

// The first act: facts hidden in a text.
Result<SelectionPageData> RunQuestions(const DemoOptions& options, const MethodConfig& method,
                                       const CancelFlag& cancel) {
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                          LoadEngine(options.model, options.quiet));
  DemoBar bar(options.quiet);
  return RunDemoQuestions(
      *engine, {.method = method,
                .context_tokens = options.context_tokens,
                .max_questions = options.max_questions,
                .time_budget_ms = options.time_budget_seconds * kMsPerSecond,
                .seed = options.seed,
                .cancel = &cancel,
                .on_progress = [&](const std::string& run, const PrefillProgress& progress) {
                  bar.Show(run, progress, options.context_tokens);
                }});
}

struct SecondAct {
  std::string chat_model;  // empty: there is no second act
  std::string document;
  std::string note;  // what to do to see one; for a terminal
};

// Finds before the first act what would stop the second: an error where the user asked for it.
Result<SecondAct> PlanSecondAct(const DemoOptions& options) {
  FileSystem& files = RealFileSystem();
  SecondAct act{.chat_model = options.chat_model,
                .document = options.document.empty() ? kDocument : options.document,
                .note = {}};
  const bool is_whole_demo = options.model.model.empty();
  if (act.chat_model.empty() && is_whole_demo) {
    act.chat_model = FindDemoChatModel(files).value_or("");
    if (act.chat_model.empty()) {
      act.note = "To see a chat model read a document too: make smollm2 (98 MB), then this again.";
    }
  }
  if (act.chat_model.empty()) {
    if (options.document.empty()) return act;
    return InvalidArgumentError(
        "--document needs a chat model to read it; fetch one with make smollm2, or name one with "
        "--chat-model");
  }
  FASTKV_RETURN_IF_ERROR(ResolveModelPath(files, act.chat_model).status());
  FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(act.document));
  if (exists) return act;
  if (options.chat_model.empty() && options.document.empty()) {
    act.note = "No document at " + act.document + " to read: name a text file with --document.";
    act.chat_model.clear();
    return act;
  }
  return NotFoundError("no document at '" + act.document + "'; name a text file with --document");
}

// The second act: a document read by a chat model.
Result<DocumentSection> RunDocument(const DemoOptions& options, const SecondAct& act,
                                    const MethodConfig& method, const CancelFlag& cancel) {
  ModelFlags flags = options.model;
  flags.model = act.chat_model;
  flags.profile.clear();
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, LoadEngine(flags, options.quiet));
  DemoBar bar(options.quiet);
  return RunDemoDocument(
      RealFileSystem(), *engine,
      {.method = method,
       .document = act.document,
       .question = kQuestion,
       .max_document_tokens =
           std::min(kMaxDocumentTokens,
                    engine->config().max_position_embeddings - kMaxAnswerTokens - kMarkupTokens),
       .max_answer_tokens = kMaxAnswerTokens,
       .cancel = &cancel,
       .on_progress = [&](const std::string& run, const PrefillProgress& progress,
                          int64_t prompt_tokens) { bar.Show(run, progress, prompt_tokens); }});
}

// The text for a terminal, but for where the page is.
std::string DemoText(const SelectionPageData& data, bool colour) {
  const MethodComparison& comparison = data.comparison;
  std::string text =
      fmt::format("\n  {}, a prompt of {} tokens, {} question{}\n  {}\n  {}\n\n", comparison.model,
                  HumanCount(comparison.prompt_tokens), comparison.questions.size(),
                  comparison.questions.size() == 1 ? "" : "s", data.method_text,
                  comparison.machine) +
      ComparisonTable(comparison, colour);
  if (data.document) {
    const DocumentSection& document = *data.document;
    text +=
        fmt::format("\n  {}, {} {} and a question, {} tokens\n  {}\n\n", document.comparison.model,
                    document.is_cut ? "the beginning of" : "the text of", document.name,
                    HumanCount(document.comparison.prompt_tokens), document.method_text) +
        ComparisonTable(document.comparison, colour);
  }
  return text;
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
  command.add_option("--chat-model", options.chat_model,
                     "Model that then reads a document [default: SmolLM2*.gguf beside the built-in "
                     "model, where make smollm2 has fetched it]");
  command.add_option("--document", options.document,
                     "The document, a text file [default: the GNU GPL as Debian installs it]");
  command.add_option("-o,--output", options.page, "Where to write the page; empty: nowhere")
      ->capture_default_str();
  command.add_flag("--json", options.json, "Print one JSON object");
  command.add_flag("-q,--quiet", options.quiet, "No progress bar");
}

Status RunDemo(const DemoOptions& options, std::ostream& out) {
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel);
  FASTKV_RETURN_IF_ERROR(CheckOutputPath("--output", options.page));
  FASTKV_ASSIGN_OR_RETURN(const MethodConfig method, MethodConfigOf(options.method));
  FASTKV_ASSIGN_OR_RETURN(const SecondAct act, PlanSecondAct(options));
  FASTKV_ASSIGN_OR_RETURN(SelectionPageData data, RunQuestions(options, method, cancel));
  data.command = CommandOf(options);
  // What stops the second act leaves the first, minutes of work, as it is.
  Status second_act = OkStatus();
  if (!act.chat_model.empty()) {
    Result<DocumentSection> document = RunDocument(options, act, method, cancel);
    second_act = document.status();
    if (document.ok()) data.document = std::move(document).value();
  }
  if (!options.page.empty()) {
    FASTKV_RETURN_IF_ERROR(RealFileSystem().WriteFile(options.page, RenderSelectionPage(data)));
  }

  if (options.json) {
    out << DumpJson(DemoJson(data, options.page)) << '\n';
    return second_act;
  }
  out << DemoText(data, StandardOutputTakesColour());
  if (!options.page.empty()) {
    out << "\n  What was kept, as a picture: " << PlaceOf(options.page) << '\n';
  }
  if (!act.note.empty()) out << "\n  " << act.note << '\n';
  return second_act;
}

}  // namespace fastkv
