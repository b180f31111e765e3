// The bytes of a tokenizer.json: what loads must encode and decode without a fault, and the same
// text must give the same ids in one piece and in many.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/memory_file_system.h"
#include "text/check_tokenizer_for_fuzz.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fastkv::MemoryFileSystem files;
  files.Put("m/tokenizer.json", std::string(reinterpret_cast<const char*>(data), size));
  const auto tokenizer = fastkv::Tokenizer::Load(files, "m");
  if (!tokenizer.ok()) {
    FASTKV_CHECK(tokenizer.status().message().find('\n') == std::string::npos);
    return 0;
  }
  fastkv::CheckTokenizer(**tokenizer);
  return 0;
}
