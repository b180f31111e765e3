// The bytes of a tokenizer.json: what loads must encode and decode without a fault, and the same
// text must give the same ids in one piece and in many.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "io/memory_file_system.h"
#include "text/tokenizer.h"
#include "text/unicode_utf8.h"

namespace {

const char* const kTexts[] = {
    "Hello, world! <s>don't</s> 1234 \t\r\n  \u00e9e\u0301\u0316\u4e2d\u3042\U0001F642<0x0A>\u2581",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaababababbbabab ab",
    "",
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fastkv::MemoryFileSystem files;
  files.Put("m/tokenizer.json", std::string(reinterpret_cast<const char*>(data), size));
  const auto tokenizer = fastkv::Tokenizer::Load(files, "m");
  if (!tokenizer.ok()) {
    FASTKV_CHECK(tokenizer.status().message().find('\n') == std::string::npos);
    return 0;
  }
  for (const char* text : kTexts) {
    for (const bool parse_special : {false, true}) {
      const auto ids = (*tokenizer)->Encode(text, {true, parse_special});
      if (!ids.ok()) continue;
      for (const int32_t id : *ids) FASTKV_CHECK(!(*tokenizer)->IdToToken(id).empty());
      FASTKV_CHECK(!fastkv::FindInvalidUtf8((*tokenizer)->Decode(*ids)));
      std::vector<fastkv::TextSegment> segments;
      for (const char* c = text; *c != '\0'; ++c) {
        const bool starts = (static_cast<unsigned char>(*c) & 0xC0) != 0x80;
        if (starts) segments.push_back({"", parse_special});
        segments.back().text += *c;
      }
      const auto same = (*tokenizer)->Encode(segments, {true, true});
      FASTKV_CHECK(same.ok() && *same == *ids);
    }
  }
  return 0;
}
