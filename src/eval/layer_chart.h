// A curve over layers as a piece of HTML: the lines are SVG that stretches with the page, all text
// is HTML that does not, so that it can be read on a screen of any width.
#ifndef FASTKV_EVAL_LAYER_CHART_H_
#define FASTKV_EVAL_LAYER_CHART_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fastkv {

struct LayerSeries {
  std::string name;
  std::string css_class;                      // of data/calibration_page.css
  std::vector<std::optional<double>> values;  // one a layer; none: no point there
};

struct LayerChart {
  std::string title;  // what the vertical axis shows
  int64_t first_layer = 0;
  std::vector<LayerSeries> series;  // not empty, of equal lengths above 0; values not negative
  std::optional<double> limit;      // a horizontal line
  std::string limit_name;
  std::optional<int64_t> marked_layer;
  bool in_percent = false;  // values are shares, and the axis ends at 100 %
};

std::string RenderLayerChart(const LayerChart& chart);

// The least of 1, 2, 2.5 and 5 times a power of ten that is no less than `value`; 1 for 0.
double RoundAxisEnd(double value);

}  // namespace fastkv

#endif  // FASTKV_EVAL_LAYER_CHART_H_
