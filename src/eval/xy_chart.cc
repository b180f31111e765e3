#include "eval/xy_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/human_format.h"

namespace fastkv {
namespace {

constexpr double kWidth = 440;
constexpr double kHeight = 290;
constexpr double kLeft = 40;
constexpr double kRight = kWidth - 14;
constexpr double kTop = 12;
constexpr double kBottom = kHeight - 44;
constexpr double kMarkRadius = 4.5;
constexpr double kMinLogX = 0.001;
constexpr size_t kNumColours = 8;

class ChartWriter {
 public:
  explicit ChartWriter(const XyChart& chart) : chart_(chart) {
    for (const ChartSeries& series : chart.series) {
      for (const ChartPoint& point : series.points) {
        min_x_ = std::min(min_x_, XOf(point));
        max_x_ = std::max(max_x_, XOf(point));
      }
    }
    if (chart.x_is_logarithmic) {
      // The next tick below the smallest point.
      for (const double tick : {0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, kMinLogX}) {
        min_x_edge_ = tick;
        if (tick <= min_x_ * 0.9) break;
      }
    }
  }

  std::string Write() {
    html_ = fmt::format(
        "<figure class=\"chart\">\n<figcaption>{}</figcaption>\n<svg viewBox=\"0 0 {} {}\" "
        "role=\"img\" aria-label=\"{}\">\n",
        EscapeHtml(chart_.title), kWidth, kHeight, EscapeHtml(chart_.title));
    WriteAxes();
    for (size_t i = 0; i < chart_.series.size(); ++i) WriteSeries(i);
    html_ += "</svg>\n";
    WriteLegend();
    return html_ + "</figure>\n";
  }

 private:
  double XOf(const ChartPoint& point) const {
    return chart_.x_is_logarithmic ? std::max(kMinLogX, point.x) : point.x;
  }

  double PlaceX(double x) const {
    const double share = chart_.x_is_logarithmic
                             ? std::log(x / min_x_edge_) / std::log(max_x_ / min_x_edge_)
                             : x / max_x_;
    return kLeft + share * (kRight - kLeft);
  }
  static double PlaceY(double y) { return kBottom - std::clamp(y, 0.0, 1.0) * (kBottom - kTop); }

  void WriteAxes() {
    for (const int percent : {0, 25, 50, 75, 100}) {
      const double y = PlaceY(percent / 100.0);
      html_ += fmt::format(
          "<path class=\"rule\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" "
          "class=\"y\">{}</text>\n",
          kLeft, y, kRight, kLeft - 6, y + 4, percent);
    }
    for (const double tick : Ticks()) {
      html_ += fmt::format(
          "<path class=\"rule\" d=\"M{:.1f} {}v5\"/><text x=\"{:.1f}\" y=\"{}\" "
          "class=\"x\">{:g}</text>\n",
          PlaceX(tick), kBottom, PlaceX(tick), kBottom + 18, 100 * tick);
    }
    html_ += fmt::format("<text x=\"{:.1f}\" y=\"{}\" class=\"x\">{}</text>\n",
                         (kLeft + kRight) / 2, kHeight - 7, EscapeHtml(chart_.x_title));
  }

  std::vector<double> Ticks() const {
    std::vector<double> ticks;
    if (chart_.x_is_logarithmic) {
      for (const double tick : {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0}) {
        if (tick >= min_x_edge_ && tick <= max_x_) ticks.push_back(tick);
      }
      return ticks;
    }
    const double step = max_x_ > 2 ? 1 : max_x_ > 1.2 ? 0.5 : 0.25;
    for (int i = 0; i * step <= max_x_ + 1e-9; ++i) ticks.push_back(i * step);
    return ticks;
  }

  void WriteSeries(size_t index) {
    const ChartSeries& series = chart_.series[index];
    html_ += fmt::format("<g class=\"s{}\">", index % kNumColours);
    if (series.is_reference && !series.points.empty()) {
      html_ += fmt::format("<path class=\"reference\" d=\"M{} {:.1f}H{}\"/>", kLeft,
                           PlaceY(series.points.front().y), kRight);
    }
    std::string line;
    for (const ChartPoint& point : series.points) {
      line += fmt::format("{}{:.1f} {:.1f}", line.empty() ? "M" : "L", PlaceX(XOf(point)),
                          PlaceY(point.y));
    }
    if (series.points.size() > 1) html_ += fmt::format("<path class=\"line\" d=\"{}\"/>", line);
    for (const ChartPoint& point : series.points) {
      const double x = PlaceX(XOf(point));
      html_ += fmt::format("<path class=\"range\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>", x,
                           PlaceY(point.low), PlaceY(point.high));
      html_ += fmt::format("<path class=\"point\" d=\"{}\"><title>{}</title></path>",
                           Mark(index, x, PlaceY(point.y)), EscapeHtml(point.label));
    }
    html_ += "</g>\n";
  }

  // Circle, square, triangle, diamond: colours are not told apart by everyone.
  static std::string Mark(size_t index, double x, double y) {
    const double r = kMarkRadius;
    // Colours come round before methods run out: the shape then differs.
    switch ((index + index / kNumColours) % 4) {
      case 0:
        return fmt::format("M{:.1f} {:.1f}a{} {} 0 1 0 {} 0a{} {} 0 1 0 -{} 0z", x - r, y, r, r,
                           2 * r, r, r, 2 * r);
      case 1:
        return fmt::format("M{:.1f} {:.1f}h{}v{}h-{}z", x - 4, y - 4, 8, 8, 8);
      case 2:
        return fmt::format("M{:.1f} {:.1f}l5 9h-10z", x, y - 5.5);
      default:
        return fmt::format("M{:.1f} {:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z", x, y - 5.5);
    }
  }

  void WriteLegend() {
    html_ += "<ul class=\"legend\">\n";
    for (size_t i = 0; i < chart_.series.size(); ++i) {
      html_ += fmt::format(
          "<li><svg class=\"series-key s{}\" viewBox=\"0 0 14 14\"><path class=\"point\" "
          "d=\"{}\"/></svg>{}</li>\n",
          i % kNumColours, Mark(i, 7, 7), EscapeHtml(chart_.series[i].name));
    }
    html_ += "</ul>\n";
  }

  const XyChart& chart_;
  double min_x_ = 1;
  double max_x_ = 1;
  double min_x_edge_ = kMinLogX;
  std::string html_;
};

}  // namespace

std::string RenderXyChart(const XyChart& chart) {
  const bool has_points =
      std::any_of(chart.series.begin(), chart.series.end(),
                  [](const ChartSeries& series) { return !series.points.empty(); });
  return has_points ? ChartWriter(chart).Write() : std::string();
}

}  // namespace fastkv
