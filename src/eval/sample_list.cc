#include "eval/sample_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "eval/human_format.h"

namespace fastkv {
namespace {

constexpr size_t kMaxTextBytes = 400;
constexpr size_t kMaxExcerptBytes = 1600;
constexpr std::string_view kCutMark = " …";

// All results of one sample.
using SampleRecords = std::span<const EvalRecord>;

std::string Cut(const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end).append(kCutMark);
}

const char* ClassOf(const EvalRecord& record) {
  const double score = record.score.value_or(0);
  return score >= 1 ? "right" : score > 0 ? "partly" : "wrong";
}

const char* MarkOf(const EvalRecord& record) {
  if (!record.score) return "!";
  return *record.score >= 1 ? "✓" : *record.score > 0 ? "◐" : "✗";
}

bool IsTelling(SampleRecords sample) {
  return std::any_of(sample.begin(), sample.end(), [&](const EvalRecord& record) {
    return !record.score || record.score != sample.front().score;
  });
}

std::string RenderSample(SampleRecords sample) {
  const EvalRecord& first = sample.front();
  std::string html = "<details><summary><span class=\"name\">" + EscapeHtml(first.key.task);
  if (first.key.length > 0) html += " · " + HumanCount(first.key.length);
  if (first.key.depth) html += fmt::format(" · depth {:g} %", *first.key.depth);
  html += fmt::format(" · {}</span><span class=\"verdicts\">", first.key.index + 1);
  for (const EvalRecord& record : sample) {
    html += fmt::format("<span class=\"{}\" title=\"{}\"><i>{}</i></span>", ClassOf(record),
                        EscapeHtml(record.run), MarkOf(record));
  }
  html += "</span></summary>\n";
  html += fmt::format("<p><b>{}</b></p>\n", EscapeHtml(Cut(first.question, kMaxTextBytes)));
  html += fmt::format("<p class=\"note\">Expected: {} · prompt of {} tokens</p>\n",
                      EscapeHtml(Cut(ExpectedText(first.expected), kMaxTextBytes)),
                      HumanCount(first.prompt_tokens));
  if (!first.excerpt.empty()) {
    html += fmt::format("<blockquote>{}</blockquote>\n",
                        EscapeHtml(Cut(first.excerpt, kMaxExcerptBytes)));
  }
  html += "<table class=\"outputs\"><tbody>\n";
  for (const EvalRecord& record : sample) {
    const std::string text = record.error.empty() ? record.output : "failed: " + record.error;
    html += fmt::format("<tr><th>{}</th><td class=\"{}\"><i>{}</i> {}</td></tr>\n",
                        EscapeHtml(record.run), ClassOf(record), MarkOf(record),
                        text.empty() ? "(nothing)" : EscapeHtml(Cut(text, kMaxTextBytes)));
  }
  return html + "</tbody></table></details>\n";
}

std::vector<SampleRecords> SamplesOf(std::span<const EvalRecord> records) {
  std::vector<SampleRecords> samples;
  for (size_t begin = 0; begin < records.size();) {
    size_t end = begin + 1;
    while (end < records.size() && records[end].sample == records[begin].sample) ++end;
    samples.push_back(records.subspan(begin, end - begin));
    begin = end;
  }
  return samples;
}

}  // namespace

std::string RenderSampleList(std::span<const EvalRecord> records, size_t max_bytes) {
  const std::vector<SampleRecords> samples = SamplesOf(records);
  std::vector<std::string> shown(samples.size());  // empty: left out
  size_t num_bytes = 0;
  size_t num_shown = 0;
  for (const bool telling : {true, false}) {
    for (size_t i = 0; i < samples.size(); ++i) {
      if (IsTelling(samples[i]) != telling) continue;
      std::string html = RenderSample(samples[i]);
      if (num_bytes + html.size() > max_bytes) break;
      num_bytes += html.size();
      ++num_shown;
      shown[i] = std::move(html);
    }
  }
  std::string html =
      "<p class=\"note\">A mark for each run: ✓ right, ◐ in part, ✗ wrong, ! failed.";
  if (num_shown < samples.size()) {
    html += fmt::format(
        " {} of {} samples, first those that the runs answered differently; all "
        "are in samples.jsonl.",
        HumanCount(static_cast<int64_t>(num_shown)),
        HumanCount(static_cast<int64_t>(samples.size())));
  }
  html += "</p>\n";
  for (const std::string& sample : shown) html += sample;
  return html;
}

std::string ExpectedText(const Json& expected) {
  if (expected.is_string()) return expected.get<std::string>();
  if (!expected.is_array()) {
    if (!expected.is_object()) return expected.is_null() ? "" : DumpJson(expected);
    for (const char* name : {"answer", "answers"}) {
      const auto member = expected.find(name);
      if (member != expected.end() && (member->is_string() || member->is_array())) {
        return member->is_string() ? member->get<std::string>() : DumpJson(*member);
      }
    }
    return DumpJson(expected);
  }
  std::string text;
  for (const Json& part : expected) {
    text += text.empty() ? "" : ", ";
    text += part.is_string() ? part.get<std::string>() : DumpJson(part);
  }
  return text;
}

}  // namespace fastkv
