#include "eval/eval_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace fastkv {
namespace {

constexpr uint64_t kBootstrapSeed = 1;

double ScoreOf(const EvalRecord& record) { return record.score.value_or(0); }

EvalColumn ColumnOf(const EvalRecord& record) { return {record.key.task, record.key.length}; }

std::vector<EvalColumn> ColumnsOf(std::span<const EvalRecord> records) {
  std::vector<EvalColumn> columns;
  for (const EvalRecord& record : records) {
    const EvalColumn column = ColumnOf(record);
    if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
      columns.push_back(column);
    }
  }
  std::stable_sort(columns.begin(), columns.end(),
                   [](const EvalColumn& a, const EvalColumn& b) { return a.length < b.length; });
  return columns;
}

// Means of (length, depth); empty where samples have no depth.
std::vector<DepthCell> DepthsOf(std::span<const EvalRecord* const> records) {
  std::map<std::pair<int64_t, double>, std::pair<int64_t, double>> sums;
  for (const EvalRecord* record : records) {
    if (!record->key.depth) continue;
    auto& [count, sum] = sums[{record->key.length, *record->key.depth}];
    ++count;
    sum += ScoreOf(*record);
  }
  std::vector<DepthCell> cells;
  for (const auto& [key, sum] : sums) {
    cells.push_back({.length = key.first,
                     .depth = key.second,
                     .num_samples = sum.first,
                     .score = sum.second / static_cast<double>(sum.first)});
  }
  return cells;
}

RunSummary SummariseRun(const std::vector<EvalColumn>& columns,
                        std::span<const EvalRecord* const> records) {
  RunSummary run;
  std::vector<std::vector<double>> groups;
  for (const EvalColumn& column : columns) {
    EvalCell cell;
    std::vector<double> scores;
    for (const EvalRecord* record : records) {
      if (ColumnOf(*record) != column) continue;
      scores.push_back(ScoreOf(*record));
      cell.num_errors += record->score ? 0 : 1;
    }
    cell.num_samples = static_cast<int64_t>(scores.size());
    if (!scores.empty()) {
      groups.push_back(std::move(scores));
      cell.score = BootstrapMean({&groups.back(), 1}, kBootstrapSeed);
    }
    run.num_errors += cell.num_errors;
    run.cells.push_back(cell);
  }
  if (!groups.empty()) run.average = BootstrapMean(groups, kBootstrapSeed);
  double num_answers = 0;
  for (const EvalRecord* record : records) {
    if (!record->score || record->full_kv_bytes == 0 || record->full_prefill_flops <= 0) continue;
    run.kept_share +=
        static_cast<double>(record->kv_bytes) / static_cast<double>(record->full_kv_bytes);
    run.flops_share += record->prefill_flops / record->full_prefill_flops;
    ++num_answers;
  }
  if (num_answers > 0) {
    run.kept_share /= num_answers;
    run.flops_share /= num_answers;
  }
  run.depths = DepthsOf(records);
  return run;
}

// The difference sample by sample: what the samples have in common cancels out.
MeanInterval DifferenceFrom(const std::vector<EvalColumn>& columns,
                            std::span<const EvalRecord* const> records,
                            const std::map<int64_t, double>& full_scores) {
  std::vector<std::vector<double>> groups;
  for (const EvalColumn& column : columns) {
    std::vector<double> differences;
    for (const EvalRecord* record : records) {
      const auto full = full_scores.find(record->sample);
      if (ColumnOf(*record) != column || full == full_scores.end()) continue;
      differences.push_back(ScoreOf(*record) - full->second);
    }
    if (!differences.empty()) groups.push_back(std::move(differences));
  }
  return groups.empty() ? MeanInterval{} : BootstrapMean(groups, kBootstrapSeed);
}

std::string MethodOf(const Json& identity, const std::string& label) {
  for (const Json& run : RunsOf(identity)) {
    if (TextField(run, "label") == label) return TextField(run, "method");
  }
  return label;
}

Json IntervalJson(const MeanInterval& interval) {
  Json json;
  json["mean"] = interval.mean;
  json["low"] = interval.low;
  json["high"] = interval.high;
  return json;
}

Json RunJson(const EvalSummary& summary, const RunSummary& run) {
  Json json;
  json["run"] = run.label;
  json["method"] = run.method;
  json["average"] = IntervalJson(run.average);
  json["difference_from_full"] = run.difference ? IntervalJson(*run.difference) : Json(nullptr);
  json["kept_share"] = run.kept_share;
  json["prefill_flops_share"] = run.flops_share;
  json["errors"] = run.num_errors;
  json["cells"] = Json::array();
  for (size_t i = 0; i < summary.columns.size(); ++i) {
    const EvalCell& cell = run.cells[i];
    Json item;
    item["task"] = summary.columns[i].task;
    item["length"] = summary.columns[i].length;
    item["samples"] = cell.num_samples;
    item["errors"] = cell.num_errors;
    item.update(IntervalJson(cell.score));
    json["cells"].push_back(std::move(item));
  }
  if (!run.depths.empty()) {
    json["depths"] = Json::array();
    for (const DepthCell& cell : run.depths) {
      json["depths"].push_back({{"length", cell.length},
                                {"depth", cell.depth},
                                {"samples", cell.num_samples},
                                {"mean", cell.score}});
    }
  }
  return json;
}

// A field of the table as RFC 4180 wants it.
std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + "\"";
}

std::string CsvLine(const RunSummary& run, const std::string& task, const std::string& length,
                    int64_t num_samples, int64_t num_errors, const MeanInterval& score) {
  return fmt::format("{},{},{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g}\n", CsvField(run.label),
                     CsvField(run.method), CsvField(task), length, num_samples, num_errors,
                     score.mean, score.low, score.high, run.kept_share, run.flops_share);
}

std::string MarkdownCell(const EvalCell& cell) {
  if (cell.num_samples == 0) return "-";
  std::string text = IntervalText(cell.score);
  if (cell.num_errors > 0) text += fmt::format(", {} failed", cell.num_errors);
  return text;
}

}  // namespace

EvalSummary SummariseResults(const Json& identity, std::span<const EvalRecord> records) {
  EvalSummary summary;
  summary.columns = ColumnsOf(records);
  std::vector<std::string> labels;
  std::map<std::string, std::vector<const EvalRecord*>> by_run;
  std::set<int64_t> samples;
  for (const EvalRecord& record : records) {
    std::vector<const EvalRecord*>& of_run = by_run[record.run];
    if (of_run.empty()) labels.push_back(record.run);
    of_run.push_back(&record);
    samples.insert(record.sample);
  }
  summary.num_samples = static_cast<int64_t>(samples.size());
  std::map<int64_t, double> full_scores;
  for (const auto& [label, of_run] : by_run) {
    if (MethodOf(identity, label) != "full") continue;
    for (const EvalRecord* record : of_run) full_scores[record->sample] = ScoreOf(*record);
  }
  for (const std::string& label : labels) {
    const std::vector<const EvalRecord*>& of_run = by_run[label];
    RunSummary run = SummariseRun(summary.columns, of_run);
    run.label = label;
    run.method = MethodOf(identity, label);
    if (!full_scores.empty() && run.method != "full") {
      run.difference = DifferenceFrom(summary.columns, of_run, full_scores);
    }
    summary.runs.push_back(std::move(run));
  }
  return summary;
}

Json SummaryJson(const EvalManifest& manifest, const EvalSummary& summary) {
  Json json;
  for (const char* name :
       {"suite", "profile", "model", "model_hash", "build", "arithmetic", "settings"}) {
    const auto member = manifest.identity.find(name);
    json[name] = member == manifest.identity.end() ? Json(nullptr) : *member;
  }
  json["identity"] = manifest.IdentityHash();
  json["samples"] = summary.num_samples;
  json["runs"] = Json::array();
  for (const RunSummary& run : summary.runs) json["runs"].push_back(RunJson(summary, run));
  return json;
}

std::string SummaryCsv(const EvalSummary& summary) {
  std::string table =
      "run,method,task,length,samples,errors,mean,low,high,kept_share,prefill_flops_share\n";
  for (const RunSummary& run : summary.runs) {
    for (size_t i = 0; i < summary.columns.size(); ++i) {
      const EvalCell& cell = run.cells[i];
      if (cell.num_samples == 0) continue;
      table += CsvLine(run, summary.columns[i].task, std::to_string(summary.columns[i].length),
                       cell.num_samples, cell.num_errors, cell.score);
    }
    table += CsvLine(run, "average", "", summary.num_samples, run.num_errors, run.average);
  }
  return table;
}

std::string SummaryMarkdown(const EvalManifest& manifest, const EvalSummary& summary) {
  const Json& identity = manifest.identity;
  std::string text = fmt::format(
      "# {} ({} profile), {}\n\n{} samples; scores in percent, 95 % "
      "intervals by resampling.\n",
      TextField(identity, "suite"), TextField(identity, "profile"), TextField(identity, "model"),
      summary.num_samples);
  const std::string note = SharedContextNote(identity);
  if (!note.empty()) text += "\n" + note + "\n";
  std::set<int64_t> lengths;
  for (const EvalColumn& column : summary.columns) lengths.insert(column.length);
  for (const int64_t length : lengths) {
    if (length > 0) text += fmt::format("\n## {} tokens\n", length);
    text += "\n| run |";
    std::string rule = "| --- |";
    for (const EvalColumn& column : summary.columns) {
      if (column.length != length) continue;
      text += " " + column.task + " |";
      rule += " --- |";
    }
    text += "\n" + rule + "\n";
    for (const RunSummary& run : summary.runs) {
      text += "| " + run.label + " |";
      for (size_t i = 0; i < summary.columns.size(); ++i) {
        if (summary.columns[i].length == length) text += " " + MarkdownCell(run.cells[i]) + " |";
      }
      text += "\n";
    }
  }
  text +=
      "\n## All\n\n| run | average | against full | KV memory | prefill operations |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const RunSummary& run : summary.runs) {
    text += fmt::format("| {} | {} | {} | {:.1f} % | {:.1f} % |\n", run.label,
                        IntervalText(run.average),
                        run.difference ? DifferenceText(*run.difference) : "-",
                        100 * run.kept_share, 100 * run.flops_share);
  }
  return text;
}

std::string ScoreText(double score) { return fmt::format("{:.1f}", 100 * score); }

std::string IntervalText(const MeanInterval& interval) {
  return fmt::format("{} ({}-{})", ScoreText(interval.mean), ScoreText(interval.low),
                     ScoreText(interval.high));
}

std::string DifferenceText(const MeanInterval& difference) {
  return fmt::format("{:+.1f} ({:+.1f} to {:+.1f})", 100 * difference.mean, 100 * difference.low,
                     100 * difference.high);
}

}  // namespace fastkv
