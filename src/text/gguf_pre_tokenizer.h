// The pre-tokenizers that GGUF files know by name (`tokenizer.ggml.pre`).
#ifndef FASTKV_TEXT_GGUF_PRE_TOKENIZER_H_
#define FASTKV_TEXT_GGUF_PRE_TOKENIZER_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

struct GgufPreTokenizer {
  std::vector<PreTokenizerSpec> steps;  // the last one is byte-level
  bool normalizes_to_nfc = false;
  bool ignores_merges = false;  // TokenizerSpec::ignore_merges
  bool adds_bos_token = false;  // where no key says whether to
};

// Errors: kUnsupported.
Result<GgufPreTokenizer> GgufPreTokenizerOf(std::string_view name);

}  // namespace fastkv

#endif  // FASTKV_TEXT_GGUF_PRE_TOKENIZER_H_
