// tokenizer.json and tokenizer_config.json.
#ifndef FASTKV_TEXT_TOKENIZER_JSON_H_
#define FASTKV_TEXT_TOKENIZER_JSON_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "io/file.h"
#include "io/json.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// Reads both files of a folder; the second one may be missing.
// Errors: those of FileSystem; kFormat, kLimit; kUnsupported names an unknown component. Messages
// name the file.
Result<TokenizerSpec> ReadTokenizerSpec(FileSystem& files, const std::string& folder);

// The content of a tokenizer.json. Errors: kFormat, kLimit, kUnsupported.
Result<TokenizerSpec> ParseTokenizerSpec(std::string_view text);

// Takes the special tokens from the content of a tokenizer_config.json. add_bos_token and
// add_eos_token, where given, decide over what the template of tokenizer.json says about them.
// Errors: kFormat.
Status ApplyTokenizerConfig(const Json& config, TokenizerSpec& spec);

}  // namespace fastkv

#endif  // FASTKV_TEXT_TOKENIZER_JSON_H_
