#include "text/gguf_pre_tokenizer.h"

#include <array>
#include <utility>

#include "io/quoted.h"
#include "text/pre_tokenizer_pattern.h"

namespace fastkv {
namespace {

// The patterns are those of the models' own tokenizer.json, letter for letter, so that they reach
// the scanners.
constexpr std::string_view kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
constexpr std::string_view kWords = R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)";
constexpr std::string_view kOthers = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class Kind { kGpt2, kDefault, kSmolLm, kLlama3, kQwen2, kTekken };

constexpr std::array<std::pair<std::string_view, Kind>, 12> kNames = {{
    {"gpt-2", Kind::kGpt2},
    {"default", Kind::kDefault},
    {"smollm", Kind::kSmolLm},
    {"starcoder", Kind::kSmolLm},
    {"refact", Kind::kSmolLm},
    {"command-r", Kind::kSmolLm},
    {"llama-bpe", Kind::kLlama3},
    {"llama3", Kind::kLlama3},
    {"llama-v3", Kind::kLlama3},
    {"qwen2", Kind::kQwen2},
    {"deepseek-r1-qwen", Kind::kQwen2},
    {"tekken", Kind::kTekken},
}};

PreTokenizerSpec Cut(std::string expression) {
  return {.kind = PreTokenizerKind::kSplit, .pattern = {true, std::move(expression)}};
}

PreTokenizerSpec ByteLevel(bool with_gpt2_pattern) {
  return {.kind = PreTokenizerKind::kByteLevel, .use_regex = with_gpt2_pattern};
}

GgufPreTokenizer OfKind(Kind kind) {
  switch (kind) {
    case Kind::kGpt2:
      return {.steps = {ByteLevel(true)}};
    case Kind::kDefault:
      return {.steps = {Cut(R"([\p{P}\$\+<=>\^~\|]+)"), Cut(std::string(kGpt2Expression)),
                        Cut(R"(\p{N}+)"), Cut("[0-9][0-9][0-9]"), ByteLevel(false)}};
    case Kind::kSmolLm:
      return {.steps = {{.kind = PreTokenizerKind::kDigits, .individual_digits = true},
                        ByteLevel(true)}};
    case Kind::kLlama3:
      return {.steps = {Cut(std::string(kContractions)
                                .append(kWords)
                                .append(R"(\p{N}{1,3})")
                                .append(kOthers)),
                        ByteLevel(false)},
              .ignores_merges = true,
              .adds_bos_token = true};
    case Kind::kQwen2:
      return {
          .steps =
              {Cut(std::string(kContractions).append(kWords).append(R"(\p{N})").append(kOthers)),
               ByteLevel(false)},
          .normalizes_to_nfc = true};
    case Kind::kTekken:
      return {.steps = {Cut(std::string(kTekken)), ByteLevel(false)},
              .ignores_merges = true,
              .adds_bos_token = true};
  }
  return {};
}

}  // namespace

Result<GgufPreTokenizer> GgufPreTokenizerOf(std::string_view name) {
  std::string known;
  for (const auto& [its_name, kind] : kNames) {
    if (its_name == name) return OfKind(kind);
    known += (known.empty() ? "" : ", ") + std::string(its_name);
  }
  return UnsupportedError("key \"tokenizer.ggml.pre\": the pre-tokenizer " + Quoted(name) +
                          " is not known, and a guess would spoil the answers; known are " + known);
}

}  // namespace fastkv
