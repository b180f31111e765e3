#include "eval/timing_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

#include "base/limits.h"
#include "io/json.h"

namespace fastkv {
namespace {

constexpr std::string_view kTimingFile = "timings.jsonl";
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr double kMaxNumber = std::numeric_limits<double>::max();

std::string TimingLine(const EvalTiming& timing) {
  Json json;
  json["sample"] = timing.sample;
  json["run"] = timing.run;
  json["length"] = timing.length;
  json["prefill_ms"] = timing.prefill_ms;
  json["runs_in_prefill"] = timing.runs_in_prefill;
  json["decode_ms_per_token"] = timing.decode_ms_per_token;
  return DumpJson(json) + "\n";
}

Result<EvalTiming> ParseTiming(std::string_view line) {
  FASTKV_ASSIGN_OR_RETURN(const Json json, ParseJson(line));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, "timing"));
  EvalTiming timing;
  FASTKV_ASSIGN_OR_RETURN(timing.sample, fields.Int("sample", 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(timing.run, fields.String("run"));
  FASTKV_ASSIGN_OR_RETURN(timing.length, fields.Int("length", 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(timing.prefill_ms, fields.Number("prefill_ms", 0, kMaxNumber));
  FASTKV_ASSIGN_OR_RETURN(timing.runs_in_prefill, fields.Int("runs_in_prefill", 1, kMax));
  FASTKV_ASSIGN_OR_RETURN(timing.decode_ms_per_token,
                          fields.Number("decode_ms_per_token", 0, kMaxNumber));
  return timing;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

Result<TimingLog> TimingLog::Open(FileSystem& files, const std::string& folder) {
  FASTKV_ASSIGN_OR_RETURN(std::unique_ptr<AppendFile> file,
                          files.OpenForAppend(JoinPath(folder, kTimingFile)));
  // Ends a line that a killed run may have left.
  FASTKV_RETURN_IF_ERROR(file->Append("\n"));
  return TimingLog(std::move(file));
}

Status TimingLog::Append(const EvalTiming& timing) { return file_->Append(TimingLine(timing)); }

Result<std::vector<EvalTiming>> ReadTimings(FileSystem& files, const std::string& folder) {
  const std::string path = JoinPath(folder, kTimingFile);
  FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return std::vector<EvalTiming>();
  FASTKV_ASSIGN_OR_RETURN(const std::string content,
                          files.ReadFile(path, limits::kMaxResultFileBytes));
  std::map<std::pair<int64_t, std::string>, EvalTiming> last;
  std::string_view rest = content;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const Result<EvalTiming> timing = ParseTiming(rest.substr(0, end));
    if (timing.ok()) last[{timing->sample, timing->run}] = *timing;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  std::vector<EvalTiming> timings;
  for (auto& [key, timing] : last) timings.push_back(std::move(timing));
  return timings;
}

Status WriteTimings(FileSystem& files, const std::string& folder,
                    const std::vector<EvalTiming>& timings) {
  std::string content;
  for (const EvalTiming& timing : timings) content += TimingLine(timing);
  return files.WriteFile(JoinPath(folder, kTimingFile), content);
}

std::string TimingTable(const std::vector<EvalTiming>& timings,
                        const std::vector<std::string>& runs) {
  std::set<int64_t> lengths;
  for (const EvalTiming& timing : timings) lengths.insert(timing.length);
  std::string table = "run,length,samples,prefill_ms,runs_in_prefill,decode_ms_per_token\n";
  for (const std::string& run : runs) {
    for (const int64_t length : lengths) {
      std::vector<double> prefill_ms;
      std::vector<double> decode_ms;
      int64_t runs_in_prefill = 1;
      for (const EvalTiming& timing : timings) {
        if (timing.run != run || timing.length != length) continue;
        prefill_ms.push_back(timing.prefill_ms);
        decode_ms.push_back(timing.decode_ms_per_token);
        runs_in_prefill = std::max(runs_in_prefill, timing.runs_in_prefill);
      }
      if (prefill_ms.empty()) continue;
      table += fmt::format("{},{},{},{:.3f},{},{:.4f}\n", run, length, prefill_ms.size(),
                           Median(prefill_ms), runs_in_prefill, Median(decode_ms));
    }
  }
  return table;
}

}  // namespace fastkv
