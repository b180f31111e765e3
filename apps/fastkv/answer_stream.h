// An answer as text, shown while it is made.
#ifndef FASTKV_APPS_ANSWER_STREAM_H_
#define FASTKV_APPS_ANSWER_STREAM_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "engine/session.h"
#include "engine/stop_strings.h"
#include "text/tokenizer.h"

namespace fastkv {

// Shows text as ids come, up to a stop string. Not thread-safe. Tokenizer and stream must outlive
// it.
class AnswerStream {
 public:
  // `out` null: the text is only collected.
  AnswerStream(const Tokenizer& tokenizer, std::vector<std::string> stops,
               std::vector<int32_t> end_ids, std::ostream* out);

  // False once a stop string has come.
  bool Take(int32_t id);
  // The rest of the text. Call it once, last.
  void Finish();

  const std::string& text() const { return text_; }

 private:
  void Emit(const std::string& piece);

  Tokenizer::StreamingDecoder decoder_;
  StopStrings stops_;
  std::vector<int32_t> end_ids_;
  std::ostream* out_;
  std::string text_;
};

// The reason's name in reports, such as "end_token".
std::string FinishName(FinishReason reason);

}  // namespace fastkv

#endif  // FASTKV_APPS_ANSWER_STREAM_H_
