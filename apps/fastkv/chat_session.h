// The turns of one chat on one session of the engine: the first is a prompt like any other, later
// ones go behind the compressed cache, and the method's rule is applied again where the cache
// exceeds its budget.
#ifndef FASTKV_APPS_CHAT_SESSION_H_
#define FASTKV_APPS_CHAT_SESSION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "engine/session.h"
#include "fastkv/chat_turns.h"

namespace fastkv {

struct ChatSettings {
  MethodConfig method;
  SamplingOptions sampling;
  int64_t max_new_tokens = 0;
  bool ignore_eos = false;
  bool protect_system = false;
  bool require_method = false;
  bool quiet = false;  // no progress, no notices
};

// What one answer took.
struct TurnStats {
  int64_t read_tokens = 0;  // of the prompt, or appended
  bool from_start = false;  // the whole conversation was read
  bool reduced = false;     // the rule was applied again
  double read_ms = 0;
  DecodeReport decode;
  std::string answer;
  int64_t kv_bytes = 0;                      // held when the answer began
  int64_t full_kv_bytes = 0;                 // what keeping everything as computed would hold then
  std::vector<std::vector<int64_t>> kv_len;  // [layer][KV head], entries when the answer began
};

// Not thread-safe. Engine and tokenizer must outlive it.
class ChatSession {
 public:
  // `notify` shows one line to the user.
  ChatSession(const Engine& engine, const Tokenizer& tokenizer, ChatTurns turns,
              ChatSettings settings, std::function<void(const std::string&)> notify);

  // Answers `messages`, the last of which is the user's, and streams the answer to `out` (may be
  // null). Where `cancel` is raised while the answer is made, the answer is what there is of it;
  // earlier, kCancelled. Errors: those of the template, of Session::Prefill, Append, Compress and
  // Decode; the conversation then stands where it stood, without these messages.
  Result<TurnStats> Answer(const std::vector<ChatMessage>& messages, const CancelFlag& cancel,
                           std::ostream* out);
  // Begins anew.
  void Reset();

  // The session, or null before the first answer.
  const Session* session() const { return session_ ? &*session_ : nullptr; }
  const ChatSettings& settings() const { return settings_; }
  const Engine& engine() const { return engine_; }

 private:
  Status Read(const TurnPrompt& prompt, const std::vector<ChatMessage>& messages,
              const CancelFlag& cancel, TurnStats& stats);
  Status ReadFromStart(const TurnPrompt& prompt, const std::vector<ChatMessage>& messages,
                       const CancelFlag& cancel);
  Status GoOn(const TurnPrompt& prompt, const CancelFlag& cancel, TurnStats& stats);
  void DescribeCache(TurnStats& stats) const;
  // The session does not hold what was read and answered any more.
  void Lose();

  const Engine& engine_;
  const Tokenizer& tokenizer_;
  ChatTurns turns_;
  ChatSettings settings_;
  std::function<void(const std::string&)> notify_;
  std::optional<Session> session_;
  bool told_not_again_ = false;  // that the method cannot be applied again
  uint64_t num_answers_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_APPS_CHAT_SESSION_H_
