// The loop of a chat: lines in, answers and commands out.
#ifndef FASTKV_APPS_CHAT_DIALOGUE_H_
#define FASTKV_APPS_CHAT_DIALOGUE_H_

#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "fastkv/chat_session.h"
#include "fastkv/line_source.h"
#include "fastkv/message_assembler.h"

namespace fastkv {

// What there is before the user's first line.
struct ChatOpening {
  std::vector<ChatMessage> messages;  // system message or a conversation loaded
  std::string document;               // stands before the first message of each conversation
};

// Not thread-safe. Everything given by reference must outlive it.
class ChatDialogue {
 public:
  // `out`: where answers go, or null. `verbose`: a line about each answer.
  ChatDialogue(ChatSession& chat, LineSource& lines, ChatOpening opening, std::ostream* out,
               bool verbose);

  // Sends a message. Errors: those of ChatSession::Answer.
  Status Say(const std::string& text);
  // Answers the conversation that there is. REQUIRES: its last message is the user's.
  Status AnswerLast();
  // Reads lines to their end. With a person at the terminal, errors are shown and the chat goes
  // on; otherwise the first one ends it. Errors: kCancelled where the user interrupted.
  Status Run();

  const std::vector<ChatMessage>& messages() const { return messages_; }
  const std::vector<TurnStats>& turns() const { return turns_; }

 private:
  enum class Step { kGoOn, kLeave };

  Result<Step> TakeLine(const InputLine& line);
  Result<Step> TakeMessage(const std::string& text);
  // `line` begins with a slash.
  Result<Step> RunCommand(const std::string& line);
  Status Save(const std::string& path) const;
  void Reset();
  void ShowAnswerEnd(const TurnStats& stats) const;

  ChatSession& chat_;
  LineSource& lines_;
  ChatOpening opening_;
  std::ostream* out_;
  bool verbose_;
  MessageAssembler assembler_;
  std::vector<ChatMessage> messages_;
  std::vector<TurnStats> turns_;
  bool interrupted_ = false;  // by the line before
};

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_DIALOGUE_H_
