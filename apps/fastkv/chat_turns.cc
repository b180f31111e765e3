#include "fastkv/chat_turns.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "fastkv/chat_template.h"
#include "io/file.h"

namespace fastkv {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

// What the segments hold from `offset` of their text on.
std::vector<TextSegment> From(std::vector<TextSegment> segments, size_t offset) {
  size_t first = 0;
  while (first < segments.size() && offset >= segments[first].text.size()) {
    offset -= segments[first].text.size();
    ++first;
  }
  segments.erase(segments.begin(), segments.begin() + static_cast<int64_t>(first));
  if (!segments.empty()) segments.front().text.erase(0, offset);
  return segments;
}

Result<std::vector<TextSegment>> Render(const ChatTemplate& chat_template, const LocalTime& now,
                                        std::span<const ChatMessage> messages) {
  ChatTemplateInputs inputs;
  inputs.now = now;
  for (const ChatMessage& message : messages) {
    inputs.messages.push_back({{"role", message.role}, {"content", message.content}});
  }
  return chat_template.Render(inputs);
}

}  // namespace

struct ChatTurns::Clock {
  LocalTime now;
};

ChatTurns::ChatTurns(std::unique_ptr<ChatTemplate> chat_template, const Tokenizer& tokenizer)
    : template_(std::move(chat_template)),
      started_(std::make_unique<Clock>(Clock{CurrentLocalTime()})),
      tokenizer_(&tokenizer) {}

ChatTurns::ChatTurns(ChatTurns&&) noexcept = default;
ChatTurns::~ChatTurns() = default;

Result<ChatTurns> ChatTurns::Create(const std::string& model_folder, const Tokenizer& tokenizer) {
  FASTKV_ASSIGN_OR_RETURN(ChatTemplate chat_template,
                          ChatTemplate::Load(RealFileSystem(), model_folder));
  return ChatTurns(std::make_unique<ChatTemplate>(std::move(chat_template)), tokenizer);
}

size_t EndOfAnswer(const std::string& rendering, size_t begin, const std::string& answer) {
  const std::string_view rest = std::string_view(rendering).substr(begin);
  if (rest.starts_with(answer)) return begin + answer.size();
  const size_t first = answer.find_first_not_of(kWhiteSpace);
  if (first == std::string::npos) return begin;
  const size_t last = answer.find_last_not_of(kWhiteSpace) + 1;
  const size_t start = rest.find_first_not_of(kWhiteSpace);
  if (start == std::string::npos) return std::string::npos;
  const std::string_view trimmed = std::string_view(answer).substr(first, last - first);
  if (!rest.substr(start).starts_with(trimmed)) return std::string::npos;
  size_t end = start + trimmed.size();
  // White space that the model wrote and the template kept has been read.
  const std::string_view behind = std::string_view(answer).substr(last);
  if (rest.substr(end).starts_with(behind)) end += behind.size();
  return begin + end;
}

Result<TurnPrompt> ChatTurns::Next(std::span<const ChatMessage> messages) const {
  FASTKV_ASSIGN_OR_RETURN(std::vector<TextSegment> segments,
                          Render(*template_, started_->now, messages));
  TurnPrompt prompt;
  for (const TextSegment& segment : segments) prompt.text += segment.text;
  if (!read_.empty() && prompt.text.starts_with(read_)) {
    const size_t end = EndOfAnswer(prompt.text, read_.size(), answer_);
    prompt.goes_on = end != std::string::npos;
    if (prompt.goes_on) segments = From(std::move(segments), end);
  }
  FASTKV_ASSIGN_OR_RETURN(prompt.ids, tokenizer_->Encode(segments, {.add_special_tokens = false,
                                                                    .parse_special = true}));
  return prompt;
}

void ChatTurns::SetRead(std::string text, std::string answer) {
  read_ = std::move(text);
  answer_ = std::move(answer);
}

void ChatTurns::Forget() {
  read_.clear();
  answer_.clear();
}

Result<int64_t> ChatTurns::CountSystemTokens(std::span<const ChatMessage> messages) const {
  // Where the prompt departs from one that differs in the user's first letter, his text begins.
  std::vector<ChatMessage> others(messages.begin(), messages.end());
  const auto user = std::find_if(others.begin(), others.end(),
                                 [](const ChatMessage& message) { return message.role == "user"; });
  if (user == others.end()) return 0;
  others.erase(user + 1, others.end());
  const auto encode = [&]() -> Result<std::vector<int32_t>> {
    FASTKV_ASSIGN_OR_RETURN(const std::vector<TextSegment> segments,
                            Render(*template_, started_->now, others));
    return tokenizer_->Encode(segments, {.add_special_tokens = false, .parse_special = true});
  };
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, encode());
  others.back().content = others.back().content.starts_with('x') ? "y" : "x";
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> other_ids, encode());
  const auto [end, other_end] =
      std::mismatch(ids.begin(), ids.end(), other_ids.begin(), other_ids.end());
  return end - ids.begin();
}

}  // namespace fastkv
