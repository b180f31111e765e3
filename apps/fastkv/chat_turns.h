// A conversation as the model reads it: each turn the whole is rendered with the model's chat
// template, and what the model has not read yet is cut off its end. Text of messages is never read
// as a special token, whatever it spells.
#ifndef FASTKV_APPS_CHAT_TURNS_H_
#define FASTKV_APPS_CHAT_TURNS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "text/tokenizer.h"

namespace fastkv {

class ChatTemplate;

struct ChatMessage {
  std::string role;     // system, user or assistant
  std::string content;  // valid UTF-8
};

// What the model must read for its next answer.
struct TurnPrompt {
  std::vector<int32_t> ids;
  // `ids` go behind what was read and answered so far; otherwise they are the whole conversation.
  bool goes_on = false;
  std::string text;  // the whole conversation as rendered
};

// Move-only; not thread-safe. The tokenizer must outlive it.
class ChatTurns {
 public:
  // Errors: those of ChatTemplate::Load (a folder may have no template).
  static Result<ChatTurns> Create(const std::string& model_folder, const Tokenizer& tokenizer);
  ChatTurns(ChatTurns&&) noexcept;
  ~ChatTurns();

  // The prompt for the answer to `messages`, the last of which is the user's. Goes on where the
  // rendering begins with all that was read, then has the answer as it was generated (white space
  // at its ends aside); a template that rewrites earlier messages begins anew. Errors: those of
  // rendering and encoding.
  Result<TurnPrompt> Next(std::span<const ChatMessage> messages) const;
  // The model has read all of `text`, a TurnPrompt's, and generated `answer` behind it.
  void SetRead(std::string text, std::string answer);
  // The model has read nothing.
  void Forget();

  // Tokens of the prompt for `messages` that stand before the first user's text: the template's
  // head and the system message. Errors: as Next.
  Result<int64_t> CountSystemTokens(std::span<const ChatMessage> messages) const;

 private:
  ChatTurns(std::unique_ptr<ChatTemplate> chat_template, const Tokenizer& tokenizer);

  struct Clock;
  std::unique_ptr<ChatTemplate> template_;
  std::unique_ptr<Clock> started_;  // a template that shows the time shows one time in all turns
  const Tokenizer* tokenizer_;
  std::string read_;    // empty: nothing
  std::string answer_;  // generated behind it
};

// Where the text of a rendering goes on behind `answer`, which the model wrote at offset `begin` of
// it: the offset, or npos where something else stands there. White space at the answer's ends may
// differ, since templates trim.
size_t EndOfAnswer(const std::string& rendering, size_t begin, const std::string& answer);

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_TURNS_H_
