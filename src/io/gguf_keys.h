// Names and values of GGUF metadata that several readers share.
#ifndef FASTKV_IO_GGUF_KEYS_H_
#define FASTKV_IO_GGUF_KEYS_H_

#include <cstdint>
#include <string_view>

namespace fastkv::gguf {

inline constexpr char kTokenizerModelKey[] = "tokenizer.ggml.model";
inline constexpr char kTokensKey[] = "tokenizer.ggml.tokens";
inline constexpr char kTokenTypesKey[] = "tokenizer.ggml.token_type";

// Values of kTokenizerModelKey. Files of the first name their special tokens only where those have
// other ids than kScoreBosId and so on.
inline constexpr std::string_view kScoreModel = "llama";
inline constexpr std::string_view kMergeModel = "gpt2";
inline constexpr int32_t kScoreUnknownId = 0;
inline constexpr int32_t kScoreBosId = 1;
inline constexpr int32_t kScoreEosId = 2;

// Values of kTokenTypesKey.
enum TokenType : int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

}  // namespace fastkv::gguf

#endif  // FASTKV_IO_GGUF_KEYS_H_
