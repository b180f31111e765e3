#include "fastkv/answer_stream.h"

#include <algorithm>
#include <utility>

namespace fastkv {

AnswerStream::AnswerStream(const Tokenizer& tokenizer, std::vector<std::string> stops,
                           std::vector<int32_t> end_ids, std::ostream* out)
    : decoder_(tokenizer, /*skip_special=*/true),
      stops_(std::move(stops)),
      end_ids_(std::move(end_ids)),
      out_(out) {}

bool AnswerStream::Take(int32_t id) {
  if (std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end()) return true;
  Emit(stops_.Push(decoder_.Take(id)));
  return !stops_.stopped();
}

void AnswerStream::Finish() {
  Emit(stops_.Push(decoder_.Finish()));
  Emit(stops_.Finish());
}

void AnswerStream::Emit(const std::string& piece) {
  text_ += piece;
  if (out_ != nullptr && !piece.empty()) *out_ << piece << std::flush;
}

std::string FinishName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndToken:
      return "end_token";
    case FinishReason::kMaxNewTokens:
      return "max_new_tokens";
    case FinishReason::kContextFull:
      return "context_full";
    case FinishReason::kStoppedByCaller:
      return "stop_string";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace fastkv
