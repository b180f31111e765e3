// The metadata of GGUF files: a tokenizer that loads must encode and decode without a fault, and
// templates must parse or say why not.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/memory_file_system.h"
#include "text/chat_template.h"
#include "text/check_tokenizer_for_fuzz.h"
#include "text/tokenizer.h"

namespace {

constexpr char kPath[] = "/m/x.gguf";

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
  fastkv::CheckTokenizer(**tokenizer);
  return 0;
}
