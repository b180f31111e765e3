// From tokens back to text.
#ifndef FASTKV_TEXT_DECODER_H_
#define FASTKV_TEXT_DECODER_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// A token, or a part of one: decoders that join tokens pass them on in fragments.
struct DecoderFragment {
  std::string_view text;
  bool starts_token = true;
  bool ends_token = true;
};

// One step of one decoding in progress. Hands text on as soon as no later token can change it. Not
// thread-safe.
class DecoderStage {
 public:
  virtual ~DecoderStage() = default;
  virtual void Take(const DecoderFragment& fragment) = 0;
  // No more tokens come.
  virtual void Finish() = 0;
};

// One decoding in progress. Not thread-safe.
class DecoderRun {
 public:
  DecoderRun(const std::optional<std::vector<DecoderSpec>>& specs);  // NOLINT
  ~DecoderRun();
  DecoderRun(DecoderRun&&) noexcept;

  void Take(std::string_view token);
  void Finish();
  // The text that has become certain since the last call; valid UTF-8 where the tokens are.
  std::string TakeText();

 private:
  class Output;

  std::unique_ptr<Output> output_;
  std::vector<std::unique_ptr<DecoderStage>> stages_;  // from the last to the first
  DecoderStage* first_;
};

// Errors: kFormat or kUnsupported when a decoder makes no sense.
Status CheckDecoders(const std::vector<DecoderSpec>& specs);

}  // namespace fastkv

#endif  // FASTKV_TEXT_DECODER_H_
