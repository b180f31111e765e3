#include "eval/layer_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"
#include "base/checked_math.h"
#include "eval/human_format.h"

namespace fastkv {
namespace {

constexpr int kGridLines = 4;
// As many as have room on a telephone.
constexpr int64_t kMaxLayerLabels = 12;

class ChartWriter {
 public:
  explicit ChartWriter(const LayerChart& chart)
      : chart_(chart), num_layers_(std::ssize(chart.series[0].values)), axis_end_(AxisEnd()) {}

  std::string Write() const {
    std::string html = fmt::format("<figure class=\"chart\">\n<figcaption>{}</figcaption>\n{}",
                                   EscapeHtml(chart_.title), Legend());
    html += "<div class=\"plot\">\n" + Grid() + Marked();
    html +=
        "<svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">" + Limit();
    for (const LayerSeries& series : chart_.series) html += Line(series);
    html += "</svg>\n";
    for (const LayerSeries& series : chart_.series) html += Points(series);
    return html + LayerLabels() + "</div>\n</figure>\n";
  }

 private:
  double AxisEnd() const {
    if (chart_.in_percent) return 1;
    double largest = chart_.limit.value_or(0);
    for (const LayerSeries& series : chart_.series) {
      for (const std::optional<double>& value : series.values) {
        largest = std::max(largest, value.value_or(0));
      }
    }
    return RoundAxisEnd(largest);
  }

  // Percent from the left; a single layer stands in the middle.
  double X(int64_t index) const {
    if (num_layers_ == 1) return 50;
    return 100.0 * static_cast<double>(index) / static_cast<double>(num_layers_ - 1);
  }
  // Percent from the bottom.
  double Y(double value) const { return 100 * value / axis_end_; }

  std::string Value(double value) const {
    return chart_.in_percent ? HumanPercent(value) : fmt::format("{:.3g}", value);
  }

  std::string Legend() const {
    std::string html = "<ul class=\"legend\">";
    for (const LayerSeries& series : chart_.series) {
      html += fmt::format("<li><i class=\"swatch {}\"></i>{}</li>", series.css_class,
                          EscapeHtml(series.name));
    }
    if (chart_.limit) {
      html +=
          fmt::format("<li><i class=\"swatch limit\"></i>{}</li>", EscapeHtml(chart_.limit_name));
    }
    return html + "</ul>\n";
  }

  std::string Grid() const {
    std::string html;
    for (int i = 0; i <= kGridLines; ++i) {
      const double value = axis_end_ * i / kGridLines;
      html += fmt::format("<span class=\"gridline\" style=\"bottom:{:.2f}%\"><b>{}</b></span>",
                          Y(value), Value(value));
    }
    return html + "\n";
  }

  std::string Marked() const {
    if (!chart_.marked_layer) return {};
    const double x = X(*chart_.marked_layer - chart_.first_layer);
    // Near the right edge the label would stick out of a narrow window.
    return fmt::format("<span class=\"chosen{}\" style=\"left:{:.2f}%\"><b>layer {}</b></span>\n",
                       x > 80 ? " late" : "", x, *chart_.marked_layer);
  }

  std::string Limit() const {
    if (!chart_.limit) return {};
    const double y = 100 - Y(*chart_.limit);
    return fmt::format("<path class=\"limit\" d=\"M0 {:.2f}H100\"/>", y);
  }

  std::string Line(const LayerSeries& series) const {
    std::string path;
    bool is_drawing = false;
    for (int64_t i = 0; i < num_layers_; ++i) {
      const std::optional<double>& value = series.values[static_cast<size_t>(i)];
      if (value) {
        path += fmt::format("{}{:.2f} {:.2f}", is_drawing ? 'L' : 'M', X(i), 100 - Y(*value));
      }
      is_drawing = value.has_value();
    }
    return fmt::format("<path class=\"{}\" d=\"{}\"/>", series.css_class, path);
  }

  std::string Points(const LayerSeries& series) const {
    std::string html;
    for (int64_t i = 0; i < num_layers_; ++i) {
      const std::optional<double>& value = series.values[static_cast<size_t>(i)];
      if (!value) continue;
      html += fmt::format(
          "<i class=\"point {}\" style=\"left:{:.2f}%;bottom:{:.2f}%\" title=\"layer {}: {}\"></i>",
          series.css_class, X(i), Y(*value), chart_.first_layer + i, Value(*value));
    }
    return html + "\n";
  }

  std::string LayerLabels() const {
    const int64_t step = CeilDivide(num_layers_, kMaxLayerLabels);
    std::string html;
    for (int64_t i = 0; i < num_layers_; i += step) {
      html += fmt::format("<span class=\"layer\" style=\"left:{:.2f}%\">{}</span>", X(i),
                          chart_.first_layer + i);
    }
    return html + "\n";
  }

  const LayerChart& chart_;
  const int64_t num_layers_;
  const double axis_end_;
};

}  // namespace

double RoundAxisEnd(double value) {
  if (!(value > 0)) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (value <= factor * power) return factor * power;
  }
  return 10 * power;
}

std::string RenderLayerChart(const LayerChart& chart) {
  FASTKV_CHECK(!chart.series.empty());
  FASTKV_CHECK(!chart.series[0].values.empty());
  for (const LayerSeries& series : chart.series) {
    FASTKV_CHECK_EQ(series.values.size(), chart.series[0].values.size());
  }
  return ChartWriter(chart).Write();
}

}  // namespace fastkv
