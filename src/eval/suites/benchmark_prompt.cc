#include "eval/suites/benchmark_prompt.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "eval/prompt_encoder.h"
#include "text/unicode_case.h"

namespace fastkv {
namespace {

// What templates that write the date see, so that prompts do not change from day to day.
constexpr LocalTime kDay{.year = 2026, .month = 1, .day = 1};

constexpr EncodeOptions kWithSpecial = {.add_special_tokens = true, .parse_special = true};
constexpr EncodeOptions kAsWritten = {.add_special_tokens = false, .parse_special = true};

std::string WithoutMiddle(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                          int64_t max_tokens) {
  const auto half = static_cast<size_t>(max_tokens / 2);
  return tokenizer.Decode(ids.first(half), /*skip_special=*/true) +
         tokenizer.Decode(ids.last(half), /*skip_special=*/true);
}

Result<std::string> Wrapped(const PromptFormat& format, const std::string& user) {
  ChatTemplateInputs inputs;
  inputs.messages.push_back({{"role", "user"}, {"content", user}});
  inputs.now = kDay;
  FASTKV_ASSIGN_OR_RETURN(const std::vector<TextSegment> segments, format.chat->Render(inputs));
  std::string text;
  for (const TextSegment& segment : segments) text += segment.text;
  return text;
}

bool BeginsWithBos(const Tokenizer& tokenizer, std::string_view text) {
  const std::optional<int32_t> bos = tokenizer.bos_id();
  return bos && text.starts_with(tokenizer.IdToToken(*bos));
}

Result<BenchmarkPrompt> MakeOfficial(const BenchmarkSample& sample, int64_t max_tokens,
                                     const PromptFormat& format) {
  const Tokenizer& tokenizer = *format.tokenizer;
  BenchmarkPrompt prompt;
  std::string text = sample.prompt;
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> plain, tokenizer.Encode(text, kWithSpecial));
  prompt.full_tokens = static_cast<int64_t>(plain.size());
  prompt.is_cut = prompt.full_tokens > max_tokens;
  if (prompt.is_cut) text = prompt.cut_text = WithoutMiddle(tokenizer, plain, max_tokens);
  const bool wrap = sample.use_chat && format.chat != nullptr;
  if (wrap) {
    FASTKV_ASSIGN_OR_RETURN(text, Wrapped(format, text));
  }
  text += sample.answer_prefix;
  const bool has_bos = wrap && BeginsWithBos(tokenizer, text);
  FASTKV_ASSIGN_OR_RETURN(prompt.ids, tokenizer.Encode(text, has_bos ? kAsWritten : kWithSpecial));
  return prompt;
}

Result<BenchmarkPrompt> MakeFastkv(const BenchmarkSample& sample, int64_t max_tokens,
                                   const PromptFormat& format) {
  const Tokenizer& tokenizer = *format.tokenizer;
  BenchmarkPrompt prompt;
  std::string text = sample.prompt + sample.answer_prefix;
  if (sample.use_chat && format.chat != nullptr) {
    FASTKV_ASSIGN_OR_RETURN(text, Wrapped(format, text));
  }
  FASTKV_ASSIGN_OR_RETURN(prompt.ids, tokenizer.Encode(text, kWithSpecial));
  prompt.full_tokens = static_cast<int64_t>(prompt.ids.size());
  prompt.is_cut = prompt.full_tokens > max_tokens;
  if (prompt.is_cut) {
    FASTKV_ASSIGN_OR_RETURN(
        prompt.ids,
        tokenizer.Encode(WithoutMiddle(tokenizer, prompt.ids, max_tokens), kWithSpecial));
  }
  return prompt;
}

}  // namespace

Result<BenchmarkPrompt> MakeBenchmarkPrompt(const BenchmarkSample& sample, BenchmarkProfile profile,
                                            int64_t max_tokens, const PromptFormat& format) {
  return profile == BenchmarkProfile::kFastkv ? MakeFastkv(sample, max_tokens, format)
                                              : MakeOfficial(sample, max_tokens, format);
}

Result<int64_t> ContextTokensOf(const BenchmarkPrompt& prompt, const BenchmarkSample& sample,
                                BenchmarkProfile profile, const PromptFormat& format) {
  const std::string_view text = prompt.is_cut ? prompt.cut_text : sample.prompt;
  const std::string_view question =
      std::string_view(sample.prompt)
          .substr(sample.prompt.size() - static_cast<size_t>(sample.question_bytes));
  if (question.empty() || !text.ends_with(question)) return int64_t{0};
  BenchmarkSample context;
  context.prompt = text.substr(0, text.size() - question.size());
  context.use_chat = sample.use_chat;
  FASTKV_ASSIGN_OR_RETURN(
      const BenchmarkPrompt alone,
      MakeBenchmarkPrompt(context, profile, std::numeric_limits<int64_t>::max(), format));
  return CommonPrefixTokens(alone.ids, prompt.ids);
}

std::optional<int64_t> FastkvPromptLimit(std::string_view model_path) {
  const std::string path = FullLowerCase(model_path);
  const auto has = [&](std::string_view part) { return path.find(part) != path.npos; };
  if (has("mistral") || has("ministral") || has("llama-3.1")) return 127'500;
  if (has("llama3")) return 7950;
  if (has("llama2")) return 3950;
  return std::nullopt;
}

}  // namespace fastkv
