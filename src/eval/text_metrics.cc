#include "eval/text_metrics.h"

#include <algorithm>
#include <optional>
#include <set>

#include "text/jinja/unicode.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr char32_t kCapitalSigma = 0x3a3;

std::set<std::string> WordsOf(std::string_view text) {
  const std::vector<std::string> words = PythonSplit(PythonLower(text));
  return {words.begin(), words.end()};
}

}  // namespace

std::string ValidUtf8(std::string_view text) {
  std::string valid;
  while (const std::optional<size_t> at = FindInvalidUtf8(text)) {
    valid += text.substr(0, *at);
    valid += kReplacement;
    text.remove_prefix(*at + 1);
  }
  return valid.append(text);
}

std::string PythonLower(std::string_view text) {
  std::string lower;
  for (size_t at = 0; at < text.size();) {
    const jinja::DecodedPoint point = jinja::DecodeUtf8(text, at);
    if (point.value == kCapitalSigma) {
      AppendUtf8(jinja::LowerSigma(text, at), lower);
    } else {
      jinja::AppendLower(point.value, &lower);
    }
    at += point.size;
  }
  return lower;
}

std::vector<std::string> PythonSplit(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const jinja::DecodedPoint point = jinja::DecodeUtf8(text, at);
    if (jinja::IsSpace(point.value)) {
      in_word = false;
    } else {
      if (!in_word) words.emplace_back();
      words.back() += text.substr(at, point.size);
      in_word = true;
    }
    at += point.size;
  }
  return words;
}

std::string_view PythonStrip(std::string_view text) {
  while (!text.empty()) {
    const jinja::DecodedPoint point = jinja::DecodeUtf8(text, 0);
    if (!jinja::IsSpace(point.value)) break;
    text.remove_prefix(point.size);
  }
  while (!text.empty()) {
    const jinja::DecodedPoint point = jinja::DecodeUtf8Before(text, text.size());
    if (!jinja::IsSpace(point.value)) break;
    text.remove_suffix(point.size);
  }
  return text;
}

double NeedleWordCoverage(std::string_view response, std::string_view expected) {
  const std::set<std::string> wanted = WordsOf(expected);
  if (wanted.empty()) return 0;
  const std::set<std::string> given = WordsOf(response);
  const auto found = std::count_if(wanted.begin(), wanted.end(),
                                   [&](const std::string& word) { return given.count(word) > 0; });
  return static_cast<double>(found) / static_cast<double>(wanted.size());
}

}  // namespace fastkv
