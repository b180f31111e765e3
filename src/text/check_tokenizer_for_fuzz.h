// What every tokenizer that loads must do without a fault, whatever file it came from.
#ifndef FASTKV_TEXT_CHECK_TOKENIZER_FOR_FUZZ_H_
#define FASTKV_TEXT_CHECK_TOKENIZER_FOR_FUZZ_H_

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "text/tokenizer.h"
#include "text/unicode_utf8.h"

namespace fastkv {

// Encodes and decodes a few texts, each in one piece and character by character, which must give
// the same ids.
inline void CheckTokenizer(const Tokenizer& tokenizer) {
  constexpr const char* kTexts[] = {
      "Hello, world! <s>don't</s> 1234 \t\r\n  "
      "\u00e9e\u0301\u0316\u4e2d\u3042\U0001F642<0x0A>\u2581",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaababababbbabab "
      "ab",
      "",
  };
  for (const char* text : kTexts) {
    for (const bool parse_special : {false, true}) {
      const auto ids = tokenizer.Encode(text, {true, parse_special});
      if (!ids.ok()) continue;
      for (const int32_t id : *ids) FASTKV_CHECK(!tokenizer.IdToToken(id).empty());
      FASTKV_CHECK(!FindInvalidUtf8(tokenizer.Decode(*ids)));
      std::vector<TextSegment> segments;
      for (const char* c = text; *c != '\0'; ++c) {
        const bool starts = (static_cast<unsigned char>(*c) & 0xC0) != 0x80;
        if (starts) segments.push_back({"", parse_special});
        segments.back().text += *c;
      }
      const auto same = tokenizer.Encode(segments, {true, true});
      FASTKV_CHECK(same.ok() && *same == *ids);
    }
  }
}

}  // namespace fastkv

#endif  // FASTKV_TEXT_CHECK_TOKENIZER_FOR_FUZZ_H_
