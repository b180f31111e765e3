// The tokenizer and the chat templates that a GGUF file describes in its metadata.
#ifndef FASTKV_TEXT_GGUF_TOKENIZER_H_
#define FASTKV_TEXT_GGUF_TOKENIZER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/gguf_metadata.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// From the keys tokenizer.ggml.*: byte-level BPE with merges ("gpt2"), where the name of the
// pre-tokenizer says how text is cut, or BPE by the scores of SentencePiece ("llama"); or from a
// whole tokenizer.json, where the file carries one. Errors: kFormat, kLimit; kUnsupported names a
// model or a pre-tokenizer that fastkv does not know.
Result<TokenizerSpec> TokenizerSpecFromGguf(const GgufMetadata& metadata);

struct GgufChatTemplate {
  std::string name;         // "default", "tool_use"
  std::string_view source;  // in the file's bytes
};

// All templates, the default one first; none where the file has none. Errors: kFormat.
Result<std::vector<GgufChatTemplate>> ChatTemplatesFromGguf(const GgufMetadata& metadata);

// The texts that templates know as bos_token, eos_token, unk_token and pad_token, of those that the
// file names. Errors: kFormat, kLimit.
Result<std::map<std::string, std::string>> SpecialTokensFromGguf(const GgufMetadata& metadata);

}  // namespace fastkv

#endif  // FASTKV_TEXT_GGUF_TOKENIZER_H_
