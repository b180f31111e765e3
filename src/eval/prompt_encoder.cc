#include "eval/prompt_encoder.h"

#include <algorithm>

#include "base/check.h"

namespace fastkv {
namespace {

// What templates that write the date see: always this one, so that prompts do not change from day
// to day.
constexpr LocalTime kDay{.year = 2026, .month = 1, .day = 1};

}  // namespace

Result<std::vector<int32_t>> EncodeUserMessage(const SuiteOptions& options, std::string_view user) {
  FASTKV_CHECK(options.chat_template != nullptr);
  ChatTemplateInputs inputs;
  inputs.messages.push_back({{"role", "user"}, {"content", user}});
  inputs.now = kDay;
  FASTKV_ASSIGN_OR_RETURN(const std::vector<TextSegment> segments,
                          options.chat_template->Render(inputs));
  return options.tokenizer->Encode(segments, {.add_special_tokens = false, .parse_special = true});
}

int64_t CommonPrefixTokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

}  // namespace fastkv
