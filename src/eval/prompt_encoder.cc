#include "eval/prompt_encoder.h"

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

}  // namespace fastkv
