// The one table of limits on input. A parser that meets more than this refuses with kLimit; nothing
// is allocated before the check. Numbers are far above what published models and prompts need.
#ifndef FASTKV_BASE_LIMITS_H_
#define FASTKV_BASE_LIMITS_H_

#include <cstdint>

namespace fastkv::limits {

inline constexpr int kMaxJsonDepth = 64;
inline constexpr int64_t kMaxJsonContainers = 500'000;         // arrays and objects in one document
inline constexpr uint64_t kMaxConfigBytes = 4ull << 20;        // config.json and its siblings
inline constexpr uint64_t kMaxTokenizerBytes = 64ull << 20;    // tokenizer.json
inline constexpr uint64_t kMaxPromptFileBytes = 256ull << 20;  // prompts, id lists, messages
inline constexpr uint64_t kMaxResultFileBytes = 16ull << 30;   // samples.jsonl of an evaluation
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100ull << 20;
inline constexpr uint64_t kMaxWeightIndexBytes = 32ull << 20;  // model.safetensors.index.json
inline constexpr int64_t kMaxTensors = 100'000;                // in one file or one model
inline constexpr int kMaxTensorRank = 8;
inline constexpr int64_t kMaxShards = 10'000;
inline constexpr int64_t kMaxGgufKeys = 65'536;  // metadata of one GGUF file
inline constexpr uint64_t kMaxGgufKeyBytes = 65'535;
inline constexpr int64_t kMaxGgufArrayDepth = 8;
inline constexpr uint64_t kMaxGgufTensorNameBytes = 63;
inline constexpr uint64_t kMaxGgufDimensions = 4;
inline constexpr uint64_t kMaxGgufAlignmentBytes = 1ull << 20;

inline constexpr int64_t kMaxLayers = 1024;
inline constexpr int64_t kMaxHeads = 1024;
inline constexpr int64_t kMaxHeadDim = 1024;
inline constexpr int64_t kMaxHiddenSize = 1 << 20;
inline constexpr int64_t kMaxVocabSize = 1 << 24;
inline constexpr int64_t kMaxContextTokens = 1ll << 28;

// Values in one tokenizer.json, told from its commas before it is parsed: a parsed one takes many
// times the file's size.
inline constexpr int64_t kMaxTokenizerValues = 5'000'000;
inline constexpr int64_t kMaxMerges = 5'000'000;  // tokenizer merges
inline constexpr int64_t kMaxAddedTokens = 100'000;

inline constexpr int64_t kMaxLcsCells = 1ll << 28;  // words times words of two texts that are scored

inline constexpr int kMaxTemplateDepth = 64;
inline constexpr int64_t kMaxTemplateSteps = 1'000'000;
inline constexpr uint64_t kMaxTemplateBytes = 1ull << 20;  // plus 4 times the input, for output

}  // namespace fastkv::limits

#endif  // FASTKV_BASE_LIMITS_H_
