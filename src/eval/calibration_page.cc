#include "eval/calibration_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "eval/embedded_text.h"
#include "eval/human_format.h"
#include "eval/layer_chart.h"

namespace fastkv {
namespace {

// As HTML. Distances are small shares; two digits that count tell them apart.
std::string DistanceText(double share) {
  if (share == 0) return "0&nbsp;%";
  const int decimals = std::clamp(1 - static_cast<int>(std::floor(std::log10(100 * share))), 0, 6);
  return fmt::format("{:.{}f}&nbsp;%", 100 * share, decimals);
}

// The layer chosen, or nothing where the fallback lies outside the candidates.
const LayerSummary* ChosenOf(const Calibration& calibration) {
  for (const LayerSummary& layer : calibration.curve) {
    if (layer.layer == calibration.choice.layer) return &layer;
  }
  return nullptr;
}

std::string Tile(const std::string& name, const std::string& value, const std::string& detail) {
  return fmt::format("<div class=\"tile\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", name,
                     value, detail);
}

std::string Header(const CalibrationPageData& data) {
  const Calibration& calibration = data.calibration;
  const std::string how =
      calibration.choice.is_fallback
          ? "No layer tried came down to the limit, so the middle of the model is taken"
          : "The first layer whose answers move no further than the limit";
  return fmt::format(
      "<header>\n<p class=\"eyebrow\">fastkv</p>\n<h1>Where {} can be cut</h1>\n"
      "<p class=\"lede\">Behind each layer only the selected tokens go on, and the answer is "
      "compared with that of the full prompt. {}: <b>layer {}</b>.</p>\n"
      "<p class=\"facts\"><span>{}</span><span>{}</span><span>{}</span></p>\n</header>\n",
      EscapeHtml(data.model), how, calibration.choice.layer, EscapeHtml(data.prompts),
      EscapeHtml(data.settings), EscapeHtml(data.machine));
}

std::string Tiles(const CalibrationPageData& data) {
  const Calibration& calibration = data.calibration;
  std::string html = "<dl class=\"tiles\">\n";
  html += Tile("TSP layer", std::to_string(calibration.choice.layer),
               fmt::format("of {}, counted from 0", data.num_layers));
  if (const LayerSummary* chosen = ChosenOf(calibration)) {
    html += Tile("The answer moves by", DistanceText(chosen->logits_distance.mean),
                 fmt::format("nine prompts in ten: at most {}",
                             DistanceText(chosen->logits_distance.nine_in_ten)));
    html += Tile("Same next token", HumanPercent(chosen->argmax_agreement.mean),
                 fmt::format("over {} positions", HumanCount(calibration.compared_positions)));
    html += Tile("Work of prefill", HumanPercent(chosen->prefill_share), "of reading in full");
  }
  return html + "</dl>\n";
}

std::string Charts(const CalibrationPageData& data) {
  const Calibration& calibration = data.calibration;
  const bool is_on_curve = ChosenOf(calibration) != nullptr;
  LayerChart distance{.title = "Distance of the answer from the full prompt's, by layer of the cut",
                      .first_layer = calibration.curve[0].layer,
                      .series = {{"mean of the prompts", "mean", {}},
                                 {"nine prompts in ten are below", "tail", {}}},
                      .limit = calibration.choice.threshold,
                      .limit_name = "limit",
                      .marked_layer = std::nullopt};
  LayerChart overlap{.title = "Selected tokens that the next layer would select too, and work left",
                     .first_layer = distance.first_layer,
                     .series = {{"tokens in common", "mean", {}},
                                {"work of prefill, of reading in full", "work", {}}},
                     .limit = std::nullopt,
                     .limit_name = {},
                     .marked_layer = std::nullopt,
                     .in_percent = true};
  if (is_on_curve) distance.marked_layer = overlap.marked_layer = calibration.choice.layer;
  for (const LayerSummary& layer : calibration.curve) {
    distance.series[0].values.emplace_back(layer.logits_distance.mean);
    distance.series[1].values.emplace_back(layer.logits_distance.nine_in_ten);
    overlap.series[0].values.push_back(
        layer.overlap_with_next ? std::optional(layer.overlap_with_next->mean) : std::nullopt);
    overlap.series[1].values.emplace_back(layer.prefill_share);
  }
  return "<section>\n<h2>How far the answer moves</h2>\n" + RenderLayerChart(distance) +
         "<p class=\"note\">The distance is that of the logits, as a share of their own length; "
         "the "
         "limit, unless one was given, lies a tenth of the way up from the least to the greatest "
         "mean.</p>\n</section>\n<section>\n<h2>What a later cut gives</h2>\n" +
         RenderLayerChart(overlap) + "</section>\n";
}

std::string Numbers(const CalibrationPageData& data) {
  std::string html =
      "<section>\n<h2>All numbers</h2>\n<div class=\"scroll\"><table class=\"curve\"><thead><tr>"
      "<th>Layer</th><th>Work of prefill</th><th>Distance of logits</th><th>Nine in ten</th>"
      "<th>Distance of hidden state</th><th>KL, nats</th><th>Same token</th><th>Top ten</th>"
      "<th>As next layer</th></tr></thead><tbody>\n";
  for (const LayerSummary& layer : data.calibration.curve) {
    html += fmt::format(
        "<tr{}><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2g}</td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        layer.layer == data.calibration.choice.layer ? " class=\"chosen-row\"" : "", layer.layer,
        HumanPercent(layer.prefill_share), DistanceText(layer.logits_distance.mean),
        DistanceText(layer.logits_distance.nine_in_ten), DistanceText(layer.hidden_distance.mean),
        layer.kl_divergence.mean, HumanPercent(layer.argmax_agreement.mean),
        HumanPercent(layer.top10_overlap.mean),
        layer.overlap_with_next ? HumanPercent(layer.overlap_with_next->mean) : "");
  }
  return html +
         "</tbody></table></div>\n<p class=\"note\">Means over the prompts.</p>\n</section>\n";
}

}  // namespace

std::string RenderCalibrationPage(const CalibrationPageData& data) {
  FASTKV_CHECK(!data.calibration.curve.empty());
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Where {} can be cut</title>\n"
      "<style>\n",
      EscapeHtml(data.model));
  html += kSelectionPageCss;
  html += kCalibrationPageCss;
  html += "</style>\n</head>\n<body>\n<main>\n";
  html += Header(data) + Tiles(data) + Charts(data) + Numbers(data);
  html += fmt::format("<footer>Made by <code>{}</code></footer>\n</main>\n</body>\n</html>\n",
                      EscapeHtml(data.command));
  return html;
}

}  // namespace fastkv
