#include "eval/scorers/infinitebench_choice.h"

#include <algorithm>
#include <optional>

#include "eval/scorers/python_text.h"
#include "io/quoted.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr std::string_view kLetters = "ABCD";

// What stands after the first prefix that occurs at all, one character left out; an empty text
// where nothing follows. Nothing when no prefix occurs.
std::optional<std::string_view> AfterPrefix(std::string_view text,
                                            std::span<const std::string_view> prefixes) {
  for (const std::string_view prefix : prefixes) {
    const size_t at = text.find(prefix);
    if (at == text.npos) continue;
    const std::string_view rest = text.substr(at + prefix.size());
    return rest.empty() ? rest : rest.substr(DecodeUtf8(rest, 0).length_bytes);
  }
  return std::nullopt;
}

bool BeginsWithLabel(std::string_view text, const ChoiceLabel& label) {
  return text.starts_with(label.text) || text.starts_with(label.letter);
}

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace

Result<ChoiceLabel> ChoiceLabelOf(const Json& answer, std::span<const std::string> options) {
  const bool is_list = answer.is_array() && !answer.empty();
  const Json& text = is_list ? answer[0] : answer;
  const auto wrong = [&](const std::string& expected) {
    return FormatError("expected " + expected + " as the answer, got " + Quoted(DumpJson(answer)));
  };
  if (!text.is_string() || (is_list && answer.size() > 2)) {
    return wrong("one of the options, or one and its letter");
  }
  ChoiceLabel label{.text = text.get<std::string>(), .letter = ""};
  if (is_list && answer.size() == 2) {
    if (!answer[1].is_string()) return wrong("an option and its letter");
    label.letter = answer[1].get<std::string>();
    if (label.letter.size() != 1 || kLetters.find(label.letter) == kLetters.npos) {
      return wrong("an option and a letter from A to D");
    }
    return label;
  }
  const auto index =
      static_cast<size_t>(std::find(options.begin(), options.end(), label.text) - options.begin());
  if (index >= options.size() || index >= kLetters.size()) {
    return wrong("one of the first four of " + std::to_string(options.size()) + " options");
  }
  label.letter = kLetters.substr(index, 1);
  return label;
}

double BookChoiceScore(std::string_view prediction, const ChoiceLabel& label) {
  const std::string_view stripped = StripWhiteSpace(prediction);
  if (stripped.empty()) return 0;
  const auto is_label = [&](std::string_view text) {
    return text == label.text || text == label.letter;
  };
  if (kLetters.find(stripped[0]) != kLetters.npos) return is_label(stripped.substr(0, 1)) ? 1 : 0;
  if (is_label(stripped)) return 1;
  const std::string spaced = SqueezeSpaces(ReplaceBySpaces(stripped, "\n\"'.,?!{}"));
  constexpr std::string_view kPrefixes[] = {"answer is:", "answer:", "answer is", "option is"};
  if (const auto rest = AfterPrefix(spaced, kPrefixes))
    return BeginsWithLabel(*rest, label) ? 1 : 0;
  for (const std::string_view word : SplitWhiteSpace(spaced)) {
    if (kLetters.find(word) != kLetters.npos) return is_label(word) ? 1 : 0;
  }
  return 0;
}

double CodeDebugScore(std::string_view prediction, const ChoiceLabel& label) {
  const std::string_view stripped = StripWhiteSpace(prediction);
  if (stripped.starts_with(label.letter + ".") || stripped.starts_with(label.letter + ":")) {
    return 1;
  }
  std::string spaced = ReplaceBySpaces(stripped, "\n`'\"-*");
  spaced = SqueezeSpaces(ReplaceAll(ReplaceAll(std::move(spaced), "Option", " "), "option", " "));
  constexpr std::string_view kPrefixes[] = {"answer is:", "is:", "answer:", "correct option is:"};
  const auto rest = AfterPrefix(spaced, kPrefixes);
  return rest && BeginsWithLabel(*rest, label) ? 1 : 0;
}

}  // namespace fastkv
