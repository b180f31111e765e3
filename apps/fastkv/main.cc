// The command line: one subcommand a file, wired up here.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <functional>
#include <iostream>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "fastkv/bench.h"
#include "fastkv/calibrate.h"
#include "fastkv/chat.h"
#include "fastkv/chat_template.h"
#include "fastkv/demo.h"
#include "fastkv/doctor.h"
#include "fastkv/eval.h"
#include "fastkv/generate.h"
#include "fastkv/inspect.h"
#include "fastkv/tokenize.h"
#include "fastkv/version.h"

namespace fastkv {
namespace {

// Every flag can also be set by an environment variable: --kv-rate by FASTKV_KV_RATE.
void NameEnvironmentVariables(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty() || option->get_lnames()[0] == "help") continue;
    std::string name = "FASTKV_" + option->get_lnames()[0];
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    option->envname(name);
  }
}

template <typename Options>
void AddCommand(CLI::App& app, const std::string& name, const std::string& description,
                void (*add_options)(CLI::App&, Options&), std::function<Status(const Options&)> run,
                Status& status) {
  CLI::App* command = app.add_subcommand(name, description);
  auto options = std::make_shared<Options>();
  add_options(*command, *options);
  NameEnvironmentVariables(*command);
  command->callback([options, run = std::move(run), &status] { status = run(*options); });
}

struct VersionOptions {
  bool json = false;
};

void AddVersionOptions(CLI::App& command, VersionOptions& options) {
  command.add_flag("--json", options.json, "Print one JSON object");
}

Status RunVersion(const VersionOptions& options) {
  if (options.json) {
    std::cout << DumpJson(VersionJson()) << '\n';
  } else {
    std::cout << VersionLine() << '\n';
  }
  return OkStatus();
}

void AddCommands(CLI::App& app, Status& status) {
  AddCommand<GenerateOptions>(
      app, "generate", "Answer a prompt", AddGenerateOptions,
      [](const GenerateOptions& options) { return RunGenerate(options, std::cin, std::cout); },
      status);
  AddCommand<ChatOptions>(
      app, "chat", "Talk in turns over a compressed cache", AddChatOptions,
      [](const ChatOptions& options) { return RunChat(options, std::cout); }, status);
  AddCommand<DemoOptions>(
      app, "demo", "Full context and FastKV side by side on a long text", AddDemoOptions,
      [](const DemoOptions& options) { return RunDemo(options, std::cout); }, status);
  AddCommand<BenchOptions>(
      app, "bench", "Measure methods and contexts against each other and the machine",
      AddBenchOptions, [](const BenchOptions& options) { return RunBench(options, std::cout); },
      status);
  AddCommand<CalibrateOptions>(
      app, "calibrate", "Find the layer behind which a model's tokens may be cut",
      AddCalibrateOptions,
      [](const CalibrateOptions& options) { return RunCalibrate(options, std::cout); }, status);
  AddCommand<EvalOptions>(
      app, "eval", "Compare the answers of methods on a suite of tasks", AddEvalOptions,
      [](const EvalOptions& options) { return RunEval(options, std::cout); }, status);
  AddCommand<InspectOptions>(
      app, "inspect", "Run token ids and show what was kept, propagated and measured",
      AddInspectOptions,
      [](const InspectOptions& options) { return RunInspect(options, std::cout); }, status);
  AddCommand<TokenizeOptions>(
      app, "tokenize", "Text to token ids", AddTokenizeOptions,
      [](const TokenizeOptions& options) { return RunTokenize(options, std::cin, std::cout); },
      status);
  AddCommand<ChatTemplateOptions>(
      app, "chat-template", "Render messages in a model's chat template", AddChatTemplateOptions,
      [](const ChatTemplateOptions& options) { return RunChatTemplate(options, std::cout); },
      status);
  AddCommand<DoctorOptions>(
      app, "doctor", "Show what this machine can do and check a model", AddDoctorOptions,
      [](const DoctorOptions& options) { return RunDoctor(options, std::cout); }, status);
  AddCommand<VersionOptions>(app, "version", "Show what this build is", AddVersionOptions,
                             RunVersion, status);
}

bool HasCommand(CLI::App& app, const std::string& name) {
  const std::vector<CLI::App*> commands = app.get_subcommands([](CLI::App*) { return true; });
  return std::any_of(commands.begin(), commands.end(),
                     [&](const CLI::App* command) { return command->get_name() == name; });
}

int Run(int argc, char** argv) {
  CLI::App app("Runs long prompts through a language model faster and in less memory.", "fastkv");
  Status status;
  AddCommands(app, status);
  app.set_version_flag("--version", VersionLine());
  app.require_subcommand(1);
  app.footer(
      "Every flag can be set by an environment variable too, --kv-rate by FASTKV_KV_RATE.\n"
      "Exit status: 0 fine, 1 the run failed, 2 bad input or usage, 130 interrupted.");
  if (argc > 1 && argv[1][0] != '-' && !HasCommand(app, argv[1])) {
    std::cerr << "fastkv: no command '" << argv[1] << "'; see fastkv --help\n";
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help and --version
    app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::cerr << "fastkv: " << error.what() << "; see fastkv --help\n";
    return 2;
  }
  std::cout.flush();
  if (!std::cout && status.ok()) {
    status = IoError("standard output could not be written; is the disk full?");
  }
  if (!status.ok()) std::cerr << "fastkv: " << status.message() << '\n';
  return ExitStatusFor(status);
}

}  // namespace
}  // namespace fastkv

int main(int argc, char** argv) {
  try {
    return fastkv::Run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::cerr << "fastkv: out of memory; close other programs, or lower the prompt's length\n";
    return 1;
  }
}
