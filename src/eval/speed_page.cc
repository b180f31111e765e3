#include "eval/speed_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "base/check.h"
#include "eval/embedded_text.h"
#include "eval/human_format.h"
#include "eval/line_chart.h"

namespace fastkv {
namespace {

// Lines that can be told apart; further methods repeat them.
constexpr size_t kNumStyles = 8;

std::vector<std::string> MethodsOf(const SpeedReport& report) {
  std::vector<std::string> methods;
  for (const SpeedRow& row : report.rows) {
    if (std::find(methods.begin(), methods.end(), row.method) == methods.end()) {
      methods.push_back(row.method);
    }
  }
  return methods;
}

int StyleOf(const std::vector<std::string>& methods, const std::string& method) {
  const auto found = std::find(methods.begin(), methods.end(), method);
  return static_cast<int>(static_cast<size_t>(found - methods.begin()) % kNumStyles);
}

std::string Tile(const std::string& name, const std::string& value, const std::string& detail) {
  return fmt::format("<div class=\"tile\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", name,
                     value, detail);
}

// The longest context's row of the first method that was compared with full.
const SpeedRow* Highlight(const SpeedReport& report) {
  const SpeedRow* best = nullptr;
  for (const SpeedRow& row : report.rows) {
    if (!row.ok() || row.method == "full" || !row.speedup_prefill.has_value()) continue;
    if (best == nullptr || row.context > best->context) best = &row;
  }
  return best;
}

std::string Tiles(const SpeedReport& report) {
  const SpeedRow* row = Highlight(report);
  if (row == nullptr) return {};
  const std::string at =
      fmt::format("{} at {} tokens", EscapeHtml(row->method), HumanCount(row->context));
  const auto change = [](double factor, const char* better, const char* worse) {
    return factor >= 1 ? HumanTimes(factor) + " " + better : HumanTimes(1 / factor) + " " + worse;
  };
  std::string html = "<dl class=\"tiles\">\n";
  html += Tile("First token", change(*row->speedup_prefill, "sooner", "later"), at);
  if (row->speedup_decode.has_value()) {
    html += Tile("Each further token", change(*row->speedup_decode, "faster", "slower"),
                 HumanDuration(row->decode_ms_per_token->median));
  }
  html += Tile(
      "KV memory",
      HumanPercent(static_cast<double>(row->kv_bytes) /
                   static_cast<double>(std::max<int64_t>(1, row->full_kv_bytes))),
      fmt::format("{} instead of {}", HumanBytes(row->kv_bytes), HumanBytes(row->full_kv_bytes)));
  if (row->PrefillShare().has_value()) {
    html += Tile("Of the machine's ceiling", HumanPercent(*row->PrefillShare()),
                 "its matrix products, while reading the prompt");
  }
  return html + "</dl>\n";
}

std::string Legend(const std::vector<std::string>& methods) {
  std::string html = "<ul class=\"legend\">\n";
  for (const std::string& method : methods) {
    html += fmt::format(
        "<li class=\"s{}\"><svg class=\"key\" viewBox=\"0 0 34 12\" aria-hidden=\"true\"><path "
        "class=\"line\" d=\"M1 6H33\"/><circle cx=\"17\" cy=\"6\" r=\"4\"/></svg>{}</li>\n",
        StyleOf(methods, method), EscapeHtml(method));
  }
  return html + "</ul>\n";
}

using TimeOf = std::function<std::optional<Spread>(const SpeedRow&)>;

std::string Chart(const SpeedReport& report, const std::vector<std::string>& methods,
                  const std::string& title, const TimeOf& time_of) {
  std::vector<ChartLine> lines;
  for (const std::string& method : methods) {
    ChartLine line{.name = method, .style = StyleOf(methods, method)};
    for (const SpeedRow& row : report.rows) {
      if (row.method != method || !row.ok()) continue;
      const std::optional<Spread> ms = time_of(row);
      if (ms.has_value()) line.points.push_back({.context = row.context, .ms = *ms});
    }
    std::sort(line.points.begin(), line.points.end(),
              [](const auto& a, const auto& b) { return a.context < b.context; });
    if (!line.points.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) return {};
  return fmt::format("<figure><figcaption>{}</figcaption>\n{}</figure>\n", title,
                     RenderLineChart(title + " against the length of the prompt", lines));
}

std::string Bar(int style, const char* kind, int64_t bytes, int64_t largest) {
  return fmt::format(
      "<span class=\"bar {} s{}\"><i style=\"width:{:.2f}%\"></i><b>{}</b></span>", kind, style,
      72.0 * static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(1, largest)),
      HumanBytes(bytes));
}

std::string Memory(const SpeedReport& report, const std::vector<std::string>& methods) {
  std::string html;
  std::vector<int64_t> contexts;
  int64_t largest = 0;
  for (const SpeedRow& row : report.rows) {
    if (!row.ok()) continue;
    largest = std::max({largest, row.kv_bytes, row.peak_bytes});
    if (std::find(contexts.begin(), contexts.end(), row.context) == contexts.end()) {
      contexts.push_back(row.context);
    }
  }
  for (const int64_t context : contexts) {
    html += fmt::format("<div><h3>{} tokens</h3>\n<div class=\"bars\">\n", HumanCount(context));
    for (const SpeedRow& row : report.rows) {
      if (row.context != context || !row.ok()) continue;
      const int style = StyleOf(methods, row.method);
      html += fmt::format("<span class=\"name\">{}</span><div>{}{}</div>\n", EscapeHtml(row.method),
                          Bar(style, "held", row.kv_bytes, largest),
                          Bar(style, "peak", row.peak_bytes, largest));
    }
    html += "</div></div>\n";
  }
  if (html.empty()) return {};
  return "<section>\n<h2>Memory</h2>\n<p class=\"note\">Solid: keys and values held after the "
         "prompt. Outlined: the most that the run held at any time, without the weights.</p>\n<div "
         "class=\"memory\">\n" +
         html + "</div>\n</section>\n";
}

std::string Optional(const std::optional<double>& value, std::string (*format)(double)) {
  return value.has_value() ? format(*value) : "–";
}

std::string Rate(double rate) {
  return rate < 1000 ? fmt::format("{:.1f}", rate) : HumanCount(static_cast<int64_t>(rate + 0.5));
}

std::string Results(const SpeedReport& report) {
  std::string html =
      "<section>\n<h2>Measured</h2>\n<div class=\"scroll\"><table><thead><tr><th>Context</th>"
      "<th>Method</th><th>First token</th><th>tokens/s</th><th>Speed-up</th><th>Foreseen</th>"
      "<th>Of ceiling</th><th>Further token</th><th>tokens/s</th><th>Speed-up</th><th>Of "
      "ceiling</th><th>KV held</th><th>Peak</th></tr></thead><tbody>\n";
  for (const SpeedRow& row : report.rows) {
    html +=
        fmt::format("<tr><td>{}</td><th>{}</th>", HumanCount(row.context), EscapeHtml(row.method));
    if (!row.ok()) {
      html += fmt::format("<td colspan=\"11\">{}</td></tr>\n", EscapeHtml(row.error));
      continue;
    }
    const std::optional<Spread> rate = row.DecodeTokensPerSecond();
    html += fmt::format(
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td></tr>\n",
        HumanDuration(row.prefill_ms.median), Rate(row.PrefillTokensPerSecond().median),
        Optional(row.speedup_prefill, HumanTimes), HumanTimes(row.predicted_speedup_prefill),
        Optional(row.PrefillShare(), HumanPercent),
        rate.has_value() ? HumanDuration(row.decode_ms_per_token->median) : "–",
        rate.has_value() ? Rate(rate->median) : "–", Optional(row.speedup_decode, HumanTimes),
        Optional(row.DecodeShare(), HumanPercent), HumanBytes(row.kv_bytes),
        HumanBytes(row.peak_bytes));
  }
  const SpeedRow& first = report.rows.front();
  return html + fmt::format(
                    "</tbody></table></div>\n<p class=\"note\">Medians of {} run{}, all methods in "
                    "turn. Foreseen: the ratio of the plans' operations. Of ceiling: the share of "
                    "the fastest matrix product, for a further token of the fastest memory read, "
                    "measured between the same runs.</p>\n</section>\n",
                    first.repeat, first.repeat == 1 ? "" : "s");
}

}  // namespace

std::string RenderSpeedPage(const SpeedReport& report) {
  FASTKV_CHECK(!report.rows.empty());
  const std::vector<std::string> methods = MethodsOf(report);
  const SpeedRow& first = report.rows.front();
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>How fast {} runs</title>\n"
      "<style>\n",
      EscapeHtml(report.model));
  html += kSpeedPageCss;
  html += fmt::format(
      "</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"eyebrow\">fastkv</p>\n<h1>How fast "
      "{} runs</h1>\n<p class=\"facts\"><span>{}</span><span>{} new tokens</span>"
      "<span>{} sequence{}</span></p>\n</header>\n",
      EscapeHtml(report.model), EscapeHtml(report.machine), HumanCount(first.new_tokens),
      HumanCount(first.batch), first.batch == 1 ? "" : "s together");
  html += Tiles(report);
  html += "<section>\n<h2>Time against the length of the prompt</h2>\n";
  html += Legend(methods) + "<div class=\"charts\">\n";
  html += Chart(report, methods, "Time to the first token",
                [](const SpeedRow& row) { return std::optional<Spread>(row.prefill_ms); });
  html += Chart(report, methods, "Time of each further token",
                [](const SpeedRow& row) { return row.decode_ms_per_token; });
  html += "</div>\n</section>\n";
  html += Memory(report, methods);
  html += Results(report);
  html += fmt::format("<footer>Made by <code>{}</code></footer>\n</main>\n</body>\n</html>\n",
                      EscapeHtml(report.command));
  return html;
}

}  // namespace fastkv
