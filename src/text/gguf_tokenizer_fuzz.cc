// The metadata of GGUF files: a tokenizer that loads must encode and decode without a fault, and
// templates must parse or say why not.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/memory_file_system.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/unicode_utf8.h"

namespace {

constexpr char kPath[] = "/m/x.gguf";
constexpr const char* kTexts[] = {
    "Hello, world! <s>don't</s> 1234 \t\r\n  \u00e9e\u0301\u4e2d\U0001F642<0x0A>\u2581",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaababababbbabab ab",
    "",
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fastkv::MemoryFileSystem files;
  files.Put(kPath, std::string(reinterpret_cast<const char*>(data), size));
  const auto chat = fastkv::ChatTemplate::Load(files, kPath);
  if (!chat.ok()) FASTKV_CHECK(chat.status().message().find('\n') == std::string::npos);
  const auto tokenizer = fastkv::Tokenizer::Load(files, kPath);
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
    }
  }
  return 0;
}
