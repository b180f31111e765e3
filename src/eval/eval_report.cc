#include "eval/eval_report.h"

#include <utility>
#include <vector>

#include "eval/eval_page.h"
#include "eval/eval_summary.h"
#include "eval/timing_log.h"

namespace fastkv {

Result<Json> WriteEvalReports(FileSystem& files, const std::string& folder,
                              const EvalManifest& manifest, std::span<const EvalRecord> records) {
  const EvalSummary summary = SummariseResults(manifest.identity, records);
  Json json = SummaryJson(manifest, summary);
  FASTKV_ASSIGN_OR_RETURN(const std::vector<EvalTiming> timings, ReadTimings(files, folder));
  std::vector<std::string> runs;
  for (const RunSummary& run : summary.runs) runs.push_back(run.label);
  // summary.json last: it tells that the evaluation is complete.
  const std::pair<const char*, std::string> reports[] = {
      {"timings.csv", TimingTable(timings, runs)},
      {"summary.csv", SummaryCsv(summary)},
      {"summary.md", SummaryMarkdown(manifest, summary)},
      {"report.html", RenderEvalPage(manifest, summary, records)},
      {"summary.json", DumpJson(json) + "\n"},
  };
  for (const auto& [name, content] : reports) {
    FASTKV_RETURN_IF_ERROR(files.WriteFile(JoinPath(folder, name), content));
  }
  return json;
}

}  // namespace fastkv
