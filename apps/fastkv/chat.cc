#include "fastkv/chat.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "fastkv/chat_dialogue.h"
#include "fastkv/chat_file.h"
#include "fastkv/chat_report.h"
#include "fastkv/interrupt.h"
#include "fastkv/prompt_input.h"

namespace fastkv {
namespace {

// What the user gave beside standard input.
Result<ChatOpening> OpeningOf(const ChatOptions& options) {
  ChatOpening opening;
  if (!options.load_path.empty()) {
    FASTKV_ASSIGN_OR_RETURN(opening.messages, LoadMessages(RealFileSystem(), options.load_path));
  }
  if (!options.system.empty()) {
    if (!opening.messages.empty() && opening.messages.front().role == "system") {
      return InvalidArgumentError("--system was given, but " + options.load_path +
                                  " has a system message already; leave one out");
    }
    opening.messages.insert(opening.messages.begin(), {"system", options.system});
  }
  for (const std::string& path : options.prompt_files) {
    if (path == "-") {
      return InvalidArgumentError(
          "--file is -, but standard input has the messages of the chat; give a file");
    }
  }
  if (!options.prompt_files.empty()) {
    // The document's text is all that is read here: nothing comes from a stream.
    std::istream no_stream(nullptr);
    FASTKV_ASSIGN_OR_RETURN(opening.document, ReadPrompt(RealFileSystem(), std::nullopt,
                                                         options.prompt_files, no_stream));
  }
  return opening;
}

Result<ChatSettings> SettingsOf(const ChatOptions& options, const Engine& engine) {
  ChatSettings settings;
  FASTKV_ASSIGN_OR_RETURN(settings.method, MethodConfigOf(options.method));
  settings.method.min_kv_tokens = options.min_kv_tokens;
  FASTKV_ASSIGN_OR_RETURN(settings.sampling,
                          SamplingOf(options.sampling, engine.generation_config()));
  settings.max_new_tokens = options.max_new_tokens;
  settings.ignore_eos = options.ignore_eos;
  settings.protect_system = options.protect_system;
  settings.require_method = options.method.require_method;
  settings.quiet = options.quiet;
  return settings;
}

Result<std::unique_ptr<LineSource>> OpenLines(InputWaiter& waiter) {
  if (isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1) return CreateEditedLines(waiter);
  return CreatePlainLines(STDIN_FILENO, waiter);
}

// What is said before the first line.
Status Open(ChatDialogue& dialogue, const ChatOptions& options) {
  const std::vector<ChatMessage>& messages = dialogue.messages();
  if (!messages.empty() && messages.back().role == "user") {
    FASTKV_RETURN_IF_ERROR(dialogue.AnswerLast());
  }
  return options.prompt.has_value() ? dialogue.Say(*options.prompt) : OkStatus();
}

}  // namespace

void AddChatOptions(CLI::App& command, ChatOptions& options) {
  AddModelFlags(command, options.model);
  AddMethodFlags(command, options.method);
  command
      .add_option("--min-kv-tokens", options.min_kv_tokens,
                  "Entries per layer and KV head that a share of the tokens never goes below, so "
                  "that short conversations stay whole")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command.add_option("-p,--prompt", options.prompt, "The first message");
  command.add_option("-f,--file,--prompt-file", options.prompt_files,
                     "A document that stands before the first message; may be repeated");
  command.add_option("--system", options.system, "System message");
  command.add_flag("--protect-system", options.protect_system,
                   "Keep all that stands before the first user's text and send it through every "
                   "layer");
  command.add_option("--load", options.load_path,
                     "Go on with a conversation that /save wrote: a JSON array of messages");
  command
      .add_option("-n,--max-new-tokens,--max-tokens,--n-predict", options.max_new_tokens,
                  "Tokens of an answer at most")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  AddSamplingFlags(command, options.sampling);
  command.add_flag("--ignore-eos", options.ignore_eos, "Go on after the model's end token");
  command.add_flag("--json", options.json, "Print one JSON object at the end instead of answers");
  command.add_flag("-q,--quiet", options.quiet, "No progress, no notices");
  command.add_flag("-v,--verbose", options.verbose,
                   "Show the sampling settings, and a line about each answer");
}

Status RunChat(const ChatOptions& options, std::ostream& out) {
  InputWaiter waiter;
  FASTKV_ASSIGN_OR_RETURN(ChatOpening opening, OpeningOf(options));
  CancelFlag cancel;
  auto loading = std::make_unique<InterruptGuard>(cancel);
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                          LoadEngine(options.model, options.quiet));
  loading.reset();
  if (cancel.cancelled()) return CancelledError("interrupted");
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine->tokenizer());
  FASTKV_ASSIGN_OR_RETURN(ChatTurns turns, ChatTurns::Create(engine->model_path(), *tokenizer));
  FASTKV_ASSIGN_OR_RETURN(ChatSettings settings, SettingsOf(options, *engine));
  if (!options.quiet) ShowSampling(settings.sampling, options.sampling, options.verbose);
  const bool quiet = options.quiet;
  ChatSession chat(*engine, *tokenizer, std::move(turns), std::move(settings),
                   [quiet](const std::string& line) {
                     if (!quiet) fmt::print(stderr, "({})\n", line);
                   });
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<LineSource> lines, OpenLines(waiter));
  if (lines->interactive() && !quiet) {
    fmt::print(stderr, "{} with {}; /help lists the commands\n", engine->model_name(),
               options.method.method);
  }
  ChatDialogue dialogue(chat, *lines, std::move(opening), options.json ? nullptr : &out,
                        options.verbose);
  Status status = Open(dialogue, options);
  if (!status.ok() && lines->interactive()) {
    fmt::print(stderr, "fastkv: {}\n", status.message());
    status = OkStatus();
  }
  if (status.ok()) status = dialogue.Run();
  if (status.ok() && options.json) {
    out << ChatJson(chat, dialogue.messages(), dialogue.turns()) << '\n';
  }
  return status;
}

}  // namespace fastkv
