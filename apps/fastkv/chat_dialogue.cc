#include "fastkv/chat_dialogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "eval/human_format.h"
#include "fastkv/chat_file.h"
#include "fastkv/chat_report.h"
#include "fastkv/interrupt.h"
#include "io/file.h"
#include "io/quoted.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr const char* kHelp =
    "/help         this list\n"
    "/stats        tokens, entries and memory held, budget, times\n"
    "/reset        forget the conversation and begin anew\n"
    "/save FILE    write the conversation as JSON messages; fastkv chat --load FILE reads it\n"
    "/exit         leave, as Ctrl-D does\n"
    "A line that ends in a backslash goes on in the next one; \"\"\" begins and ends a message of\n"
    "several lines. Ctrl-C stops an answer and keeps the conversation; twice at the prompt it "
    "leaves.\n";

bool IsCommand(const std::string& line) {
  if (line.size() < 2 || line[0] != '/') return false;
  const size_t end = std::min(line.find(' '), line.size());
  return std::all_of(line.begin() + 1, line.begin() + static_cast<int64_t>(end),
                     [](unsigned char c) { return std::isalpha(c) != 0; });
}

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

}  // namespace

ChatDialogue::ChatDialogue(ChatSession& chat, LineSource& lines, ChatOpening opening,
                           std::ostream* out, bool verbose)
    : chat_(chat),
      lines_(lines),
      opening_(std::move(opening)),
      out_(out),
      verbose_(verbose),
      messages_(opening_.messages) {}

Status ChatDialogue::Say(const std::string& text) {
  if (const std::optional<size_t> bad = FindInvalidUtf8(text)) {
    return InvalidArgumentError("the message is not valid UTF-8 at byte " + std::to_string(*bad) +
                                "; convert it to UTF-8");
  }
  const bool is_first =
      std::none_of(messages_.begin(), messages_.end(),
                   [](const ChatMessage& message) { return message.role != "system"; });
  const bool has_document = is_first && !opening_.document.empty();
  messages_.push_back({"user", has_document ? opening_.document + "\n\n" + text : text});
  Status status = AnswerLast();
  if (!status.ok()) messages_.pop_back();
  return status;
}

Status ChatDialogue::AnswerLast() {
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel, OnInterrupt::kKeepProcess);
  FASTKV_ASSIGN_OR_RETURN(TurnStats stats, chat_.Answer(messages_, cancel, out_));
  if (out_ != nullptr) *out_ << std::endl;
  messages_.push_back({"assistant", stats.answer});
  ShowAnswerEnd(stats);
  turns_.push_back(std::move(stats));
  return OkStatus();
}

void ChatDialogue::ShowAnswerEnd(const TurnStats& stats) const {
  if (chat_.settings().quiet) return;
  if (stats.decode.finish_reason == FinishReason::kCancelled) {
    fmt::print(stderr, "(stopped; the conversation goes on)\n");
  } else if (stats.decode.finish_reason == FinishReason::kMaxNewTokens) {
    fmt::print(stderr, "(ended after {} tokens, see --max-new-tokens)\n",
               HumanCount(static_cast<int64_t>(stats.decode.output_ids.size())));
  } else if (stats.decode.finish_reason == FinishReason::kContextFull) {
    fmt::print(stderr, "(the model's {} tokens are used up; /reset begins anew)\n",
               HumanCount(chat_.engine().config().max_position_embeddings));
  }
  if (verbose_) {
    fmt::print(stderr, "({} tokens read in {}; {} generated; KV {} of {})\n",
               HumanCount(stats.read_tokens), HumanDuration(stats.read_ms),
               HumanCount(static_cast<int64_t>(stats.decode.output_ids.size())),
               HumanBytes(stats.kv_bytes), HumanBytes(stats.full_kv_bytes));
  }
}

Status ChatDialogue::Run() {
  while (true) {
    FASTKV_ASSIGN_OR_RETURN(const InputLine line, lines_.Read(assembler_.open() ? ". " : "> "));
    Result<Step> step = TakeLine(line);
    if (step.ok() && *step == Step::kLeave) return OkStatus();
    if (step.ok()) continue;
    if (line.kind != InputLine::Kind::kText || !lines_.interactive()) return step.status();
    fmt::print(stderr, "fastkv: {}\n", step.status().message());
  }
}

Result<ChatDialogue::Step> ChatDialogue::TakeLine(const InputLine& line) {
  const bool was_interrupted = std::exchange(interrupted_, false);
  switch (line.kind) {
    case InputLine::Kind::kTerminated:
      return CancelledError("interrupted");
    case InputLine::Kind::kInterrupted:
      if (was_interrupted || !lines_.interactive()) return CancelledError("interrupted");
      interrupted_ = true;
      assembler_.Clear();
      fmt::print(stderr, "(Ctrl-C again leaves)\n");
      return Step::kGoOn;
    case InputLine::Kind::kEnd: {
      const std::optional<std::string> rest = assembler_.TakeRest();
      if (rest.has_value()) FASTKV_RETURN_IF_ERROR(TakeMessage(*rest).status());
      return Step::kLeave;
    }
    case InputLine::Kind::kText:
      break;
  }
  if (!assembler_.open() && IsCommand(line.text)) {
    lines_.Remember(line.text);
    return RunCommand(line.text);
  }
  const std::optional<std::string> message = assembler_.Take(line.text);
  if (!message.has_value()) return Step::kGoOn;
  return TakeMessage(*message);
}

Result<ChatDialogue::Step> ChatDialogue::TakeMessage(const std::string& text) {
  if (Trimmed(text).empty()) return Step::kGoOn;
  lines_.Remember(text);
  FASTKV_RETURN_IF_ERROR(Say(text));
  return Step::kGoOn;
}

Result<ChatDialogue::Step> ChatDialogue::RunCommand(const std::string& line) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string name = line.substr(1, space - 1);
  const std::string argument = Trimmed(line.substr(space));
  if (name == "save") {
    FASTKV_RETURN_IF_ERROR(Save(argument));
    return Step::kGoOn;
  }
  if (!argument.empty()) {
    return InvalidArgumentError("/" + name + " takes nothing behind it, got " + Quoted(argument) +
                                "; /help lists the commands");
  }
  if (name == "exit" || name == "quit" || name == "bye") return Step::kLeave;
  if (name == "help") {
    fmt::print(stderr, "{}", kHelp);
  } else if (name == "stats") {
    fmt::print(stderr, "{}", ChatStatsText(chat_, turns_));
  } else if (name == "reset") {
    Reset();
  } else {
    return InvalidArgumentError("no command /" + name + "; /help lists them");
  }
  return Step::kGoOn;
}

Status ChatDialogue::Save(const std::string& path) const {
  if (path.empty()) return InvalidArgumentError("/save needs a file's name behind it");
  FASTKV_RETURN_IF_ERROR(SaveMessages(RealFileSystem(), path, messages_));
  if (!chat_.settings().quiet) {
    fmt::print(stderr, "({} messages written to {})\n", messages_.size(), path);
  }
  return OkStatus();
}

void ChatDialogue::Reset() {
  chat_.Reset();
  turns_.clear();
  // The system message stays, a conversation that was loaded does not.
  std::vector<ChatMessage> kept;
  if (!messages_.empty() && messages_.front().role == "system") kept.push_back(messages_.front());
  messages_ = std::move(kept);
}

}  // namespace fastkv
