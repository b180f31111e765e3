// The small parts of tokenizer.json. Each function takes the value of one top-level key, which may
// be null. Errors: kFormat; kUnsupported names a component that fastkv does not know.
#ifndef FASTKV_TEXT_TOKENIZER_COMPONENT_JSON_H_
#define FASTKV_TEXT_TOKENIZER_COMPONENT_JSON_H_

#include <optional>
#include <vector>

#include "base/status.h"
#include "io/json.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// Components in sequences, however nested, come out as one list.
Result<std::vector<NormalizerSpec>> ParseNormalizers(const Json& value);
Result<std::vector<PreTokenizerSpec>> ParsePreTokenizers(const Json& value);
// No value for null.
Result<std::optional<std::vector<DecoderSpec>>> ParseDecoders(const Json& value);

struct SpecialTokenTemplate {
  std::vector<int32_t> prefix_ids;
  std::vector<int32_t> suffix_ids;
};
// What the post-processor puts around one text.
Result<SpecialTokenTemplate> ParsePostProcessor(const Json& value);

Result<std::vector<AddedTokenSpec>> ParseAddedTokens(const Json& value);

}  // namespace fastkv

#endif  // FASTKV_TEXT_TOKENIZER_COMPONENT_JSON_H_
