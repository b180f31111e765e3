#include <algorithm>
#include <array>

#include "eval/suite.h"
#include "eval/suite_list.h"
#include "io/content_hash.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr std::array kSuites = {
    SuiteEntry{"needle-tasks", "questions about facts hidden in generated prose", CreateNeedleSuite,
               ScoreNeedleSuite},
    SuiteEntry{"niah", "one needle at chosen depths of a haystack", CreateNiahSuite,
               ScoreNiahSuite},
    SuiteEntry{"ruler", "RULER's 13 tasks, generated or from official files", CreateRulerSuite,
               ScoreBenchmark},
    SuiteEntry{"longbench", "LongBench's 21 data sets, from your copy", CreateLongBenchSuite,
               ScoreBenchmark},
    SuiteEntry{"infinitebench", "InfiniteBench's 12 tasks, from your copy",
               CreateInfiniteBenchSuite, ScoreBenchmark},
};

constexpr std::string_view kGap = " … ";

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

std::span<const SuiteEntry> RegisteredSuites() { return kSuites; }

Result<const SuiteEntry*> FindSuite(std::string_view name) {
  std::string known;
  for (const SuiteEntry& entry : kSuites) {
    if (entry.name == name) return &entry;
    known += known.empty() ? "" : ", ";
    known += entry.name;
  }
  return InvalidArgumentError("expected a suite (" + known + "), got " + Quoted(name));
}

Status CheckTaskNames(std::span<const std::string> asked, std::span<const std::string_view> known) {
  for (const std::string& task : asked) {
    if (std::find(known.begin(), known.end(), task) != known.end()) continue;
    std::string names;
    for (const std::string_view name : known) {
      names += names.empty() ? "" : ", ";
      names += name;
    }
    return InvalidArgumentError("--tasks: expected some of " + names + "; got " + Quoted(task));
  }
  return OkStatus();
}

uint64_t SampleSeed(uint64_t seed, std::string_view name) { return ContentHash(name, seed); }

std::string ExcerptAround(std::string_view text, std::vector<std::pair<size_t, size_t>> spans,
                          size_t margin_bytes) {
  std::sort(spans.begin(), spans.end());
  std::string excerpt;
  size_t shown = 0;  // end of what is in the excerpt
  for (const auto& [first, end] : spans) {
    size_t from = std::max(shown, first > margin_bytes ? first - margin_bytes : 0);
    size_t to = std::min(text.size(), end + margin_bytes);
    while (from > shown && IsContinuationByte(text[from])) --from;
    while (to < text.size() && IsContinuationByte(text[to])) ++to;
    if (to <= from) continue;
    if (from > shown) excerpt += kGap;
    excerpt += text.substr(from, to - from);
    shown = to;
  }
  if (!spans.empty() && shown < text.size()) excerpt += kGap;
  return excerpt;
}

}  // namespace fastkv
