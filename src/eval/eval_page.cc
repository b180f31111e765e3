#include "eval/eval_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "eval/embedded_text.h"
#include "eval/human_format.h"
#include "eval/sample_list.h"
#include "eval/xy_chart.h"

namespace fastkv {
namespace {

constexpr size_t kMaxSampleListBytes = 600 << 10;

std::string LengthText(int64_t length) {
  return length > 0 ? HumanCount(length) + " tokens" : std::string("lengths as in the data");
}

std::string Header(const EvalManifest& manifest, const EvalSummary& summary) {
  const Json& identity = manifest.identity;
  std::string html = fmt::format(
      "<header>\n<p class=\"eyebrow\">fastkv eval</p>\n<h1>{} on {}</h1>\n<p class=\"lede\">{} "
      "run{} over the same {} samples.</p>\n<p class=\"facts\">",
      EscapeHtml(TextField(identity, "suite")), EscapeHtml(TextField(identity, "model")),
      summary.runs.size(), summary.runs.size() == 1 ? "" : "s", HumanCount(summary.num_samples));
  html += fmt::format("<span>profile {}</span><span>{}</span><span>{}</span>",
                      EscapeHtml(TextField(identity, "profile")),
                      EscapeHtml(TextField(identity, "arithmetic")),
                      EscapeHtml(TextField(identity, "build")));
  return html + "</p>\n</header>\n";
}

std::string ScoreCell(const EvalCell& cell) {
  if (cell.num_samples == 0) return "<td>–</td>";
  std::string html = fmt::format("<td><b style=\"--score:{:.0f}\">{}</b><small>{}–{}</small>",
                                 100 * cell.score.mean, ScoreText(cell.score.mean),
                                 ScoreText(cell.score.low), ScoreText(cell.score.high));
  if (cell.num_errors > 0) {
    html += fmt::format("<small class=\"wrong\"><i>{} failed</i></small>", cell.num_errors);
  }
  return html + "</td>";
}

std::string ScoreTable(const EvalSummary& summary, int64_t length) {
  std::string html = "<div class=\"scroll\"><table class=\"scores\"><thead><tr><th>Run</th>";
  for (const EvalColumn& column : summary.columns) {
    if (column.length == length) html += "<th>" + EscapeHtml(column.task) + "</th>";
  }
  html += "</tr></thead><tbody>\n";
  for (const RunSummary& run : summary.runs) {
    html += "<tr><th>" + EscapeHtml(run.label) + "</th>";
    for (size_t i = 0; i < summary.columns.size(); ++i) {
      if (summary.columns[i].length == length) html += ScoreCell(run.cells[i]);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string Scores(const EvalSummary& summary) {
  std::set<int64_t> lengths;
  for (const EvalColumn& column : summary.columns) lengths.insert(column.length);
  std::string html = "<section>\n<h2>Scores</h2>\n";
  for (const int64_t length : lengths) {
    html += fmt::format("<h3>{}</h3>\n", LengthText(length)) + ScoreTable(summary, length);
  }
  return html +
         "<p class=\"note\">Percent of the most that can be reached, with the 95 % interval of the "
         "mean from resampling the samples. Where all samples score the same, the interval has no "
         "width, however few they are. A sample that failed counts 0.</p>\n</section>\n";
}

std::string Averages(const EvalSummary& summary) {
  std::string html =
      "<section>\n<h2>What it costs, what it gives</h2>\n<div class=\"scroll\"><table "
      "class=\"scores\"><thead><tr><th>Run</th><th>Average</th><th>Against full context</th>"
      "<th>KV memory</th><th>Prefill operations</th></tr></thead><tbody>\n";
  for (const RunSummary& run : summary.runs) {
    html += fmt::format(
        "<tr><th>{}</th><td><b style=\"--score:{:.0f}\">{}</b><small>{}–{}</small></td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        EscapeHtml(run.label), 100 * run.average.mean, ScoreText(run.average.mean),
        ScoreText(run.average.low), ScoreText(run.average.high),
        run.difference
            ? fmt::format("{:+.1f}<small>{:+.1f} to {:+.1f}</small>", 100 * run.difference->mean,
                          100 * run.difference->low, 100 * run.difference->high)
            : std::string("–"),
        HumanPercent(run.kept_share), HumanPercent(run.flops_share));
  }
  return html +
         "</tbody></table></div>\n<p class=\"note\">The average counts every column above the "
         "same; the difference is taken sample by sample. Memory is what the cache holds after the "
         "prompt, from its allocations, and operations are those of the plan, both as a share of "
         "the full context's.</p>\n";
}

// One series for each method; its runs are the points.
XyChart ChartOf(const EvalSummary& summary, double RunSummary::*x, std::string title,
                std::string x_title, bool is_logarithmic) {
  XyChart chart{.title = std::move(title),
                .x_title = std::move(x_title),
                .x_is_logarithmic = is_logarithmic,
                .series = {}};
  for (const RunSummary& run : summary.runs) {
    if (run.kept_share <= 0) continue;  // every sample failed
    auto series = std::find_if(chart.series.begin(), chart.series.end(),
                               [&](const ChartSeries& s) { return s.name == run.method; });
    if (series == chart.series.end()) {
      series = chart.series.insert(
          series, {.name = run.method, .points = {}, .is_reference = run.method == "full"});
    }
    series->points.push_back({.x = run.*x,
                              .y = run.average.mean,
                              .low = run.average.low,
                              .high = run.average.high,
                              .label = run.label + ": " + IntervalText(run.average)});
  }
  for (ChartSeries& series : chart.series) {
    std::stable_sort(series.points.begin(), series.points.end(),
                     [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  }
  return chart;
}

std::string Charts(const EvalSummary& summary) {
  return "<div class=\"charts\">\n" +
         RenderXyChart(ChartOf(summary, &RunSummary::kept_share, "Score against KV memory",
                               "KV memory held, % of full context",
                               /*is_logarithmic=*/true)) +
         RenderXyChart(ChartOf(summary, &RunSummary::flops_share, "Score against prefill work",
                               "prefill operations, % of full context",
                               /*is_logarithmic=*/false)) +
         "</div>\n</section>\n";
}

std::string DepthMap(const RunSummary& run) {
  std::set<int64_t> lengths;
  std::set<double> depths;
  for (const DepthCell& cell : run.depths) {
    lengths.insert(cell.length);
    depths.insert(cell.depth);
  }
  std::string html = fmt::format(
      "<figure class=\"depths\">\n<figcaption>{}</figcaption>\n<table><thead><tr>"
      "<th></th>",
      EscapeHtml(run.label));
  for (const int64_t length : lengths) html += "<th>" + HumanCount(length) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const double depth : depths) {
    html += fmt::format("<tr><th>{:g} %</th>", depth);
    for (const int64_t length : lengths) {
      const auto cell =
          std::find_if(run.depths.begin(), run.depths.end(), [&](const DepthCell& candidate) {
            return candidate.length == length && candidate.depth == depth;
          });
      html += cell == run.depths.end()
                  ? std::string("<td></td>")
                  : fmt::format("<td style=\"--score:{0:.0f}\">{0:.0f}</td>", 100 * cell->score);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table>\n</figure>\n";
}

std::string DepthMaps(const EvalSummary& summary) {
  if (!summary.has_depths()) return {};
  std::string html =
      "<section>\n<h2>Where the needle is found</h2>\n<p class=\"note\">Columns are prompt lengths "
      "in tokens, rows how deep in the prompt the needle lies; scores in percent.</p>\n<div "
      "class=\"depth-maps\">\n";
  for (const RunSummary& run : summary.runs) html += DepthMap(run);
  return html + "</div>\n</section>\n";
}

}  // namespace

std::string RenderEvalPage(const EvalManifest& manifest, const EvalSummary& summary,
                           std::span<const EvalRecord> records) {
  const std::string title = EscapeHtml(TextField(manifest.identity, "suite") + " on " +
                                       TextField(manifest.identity, "model"));
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n",
      title);
  html += kSelectionPageCss;
  html += kEvalPageCss;
  html += "</style>\n</head>\n<body>\n<main>\n";
  html += Header(manifest, summary);
  html += Scores(summary);
  html += Averages(summary);
  html += Charts(summary);
  html += DepthMaps(summary);
  html += "<section>\n<h2>Sample by sample</h2>\n";
  html += RenderSampleList(records, kMaxSampleListBytes);
  html += "</section>\n";
  const std::string note = SharedContextNote(manifest.identity);
  if (!note.empty()) html += "<p>" + EscapeHtml(note) + "</p>\n";
  html +=
      fmt::format("<footer><code>{}</code><br>model {} · evaluation {}</footer>\n",
                  EscapeHtml(CommandOf(manifest.identity)),
                  EscapeHtml(TextField(manifest.identity, "model_hash")), manifest.IdentityHash());
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace fastkv
