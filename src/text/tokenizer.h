// Text to token ids and back, with the results of the tokenizer that a model was published with.
#ifndef FASTKV_TEXT_TOKENIZER_H_
#define FASTKV_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/file.h"
#include "text/decoder.h"
#include "text/text_segment.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

class GgufFiles;
class UntrustedRanges;

struct EncodeOptions {
  // Puts the tokens around the text that the model's files ask for, such as one at the beginning.
  bool add_special_tokens = false;
  // Special tokens written in the text are recognised. When false, such text stays ordinary text.
  bool parse_special = true;
};

// Thread-safe: all methods are const, except that a StreamingDecoder belongs to one thread.
class Tokenizer {
 public:
  // Reads tokenizer.json and, where there is one, tokenizer_config.json from a folder; or the
  // metadata of a GGUF file (FindGgufFile says what counts as one).
  // Errors: those of FileSystem; kFormat for a broken file; kLimit beyond limits.h; kUnsupported
  // names a component that fastkv does not know.
  static Result<std::unique_ptr<Tokenizer>> Load(FileSystem& files, const std::string& path);

  // Errors: kFormat, kLimit, kUnsupported when the description makes no sense.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);

  ~Tokenizer();

  // Errors: kInvalidArgument with the offset of the first byte that is not UTF-8; kLimit for a text
  // above limits::kMaxPromptFileBytes, or one that a regular expression takes too long on.
  Result<std::vector<int32_t>> Encode(std::string_view text, const EncodeOptions& options) const;

  // Encodes the segments as the one text that they form together. A special token counts only where
  // it is trusted as a whole; options.parse_special == false trusts nothing.
  Result<std::vector<int32_t>> Encode(std::span<const TextSegment> segments,
                                      const EncodeOptions& options) const;

  // Ids without a token add no text. `skip_special` leaves special tokens out.
  std::string Decode(std::span<const int32_t> ids, bool skip_special = false) const;

  // Decodes ids as they come. All texts joined are what Decode gives for all ids. The tokenizer
  // must outlive it. Not thread-safe.
  class StreamingDecoder {
   public:
    explicit StreamingDecoder(const Tokenizer& tokenizer, bool skip_special = false);

    // The text that this id makes certain: whole characters, often none or more than the id's own.
    std::string Take(int32_t id);
    // The rest of the text. Call it once, last.
    std::string Finish();

   private:
    const Tokenizer& tokenizer_;
    bool skip_special_;
    DecoderRun run_;
  };

  // One more than the greatest id in use.
  int32_t vocab_size() const;
  std::optional<int32_t> TokenToId(std::string_view token) const;
  // The token as the model's files write it, empty where there is none. Lives as long as the
  // tokenizer.
  std::string_view IdToToken(int32_t id) const;
  // Control tokens: the added tokens marked special, and the beginning and the end among the added.
  bool is_special(int32_t id) const;
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;

 private:
  struct Parts;

  explicit Tokenizer(std::unique_ptr<Parts> parts);
  static Result<std::unique_ptr<Tokenizer>> FromGguf(const GgufFiles& gguf);
  Result<std::vector<int32_t>> EncodeText(std::string_view text, const UntrustedRanges& untrusted,
                                          bool add_special_tokens) const;

  std::unique_ptr<Parts> parts_;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_TOKENIZER_H_
