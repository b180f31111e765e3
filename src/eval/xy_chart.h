// A chart of points and lines as inline SVG, coloured by the page's style sheet.
#ifndef FASTKV_EVAL_XY_CHART_H_
#define FASTKV_EVAL_XY_CHART_H_

#include <string>
#include <vector>

namespace fastkv {

struct ChartPoint {
  double x = 0;
  double y = 0;  // with its interval
  double low = 0;
  double high = 0;
  std::string label;  // shown when pointed at
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  // joined by a line in this order
  bool is_reference = false;       // its first point's height is drawn across the whole chart
};

struct XyChart {
  std::string title;
  std::string x_title;
  bool x_is_logarithmic = false;
  std::vector<ChartSeries> series;  // each with a colour and a mark of its own
};

// A figure with its legend. x and y are shares; the axes are in percent, y from 0 to 100. On a
// logarithmic axis x is at least 0.1 %. Everything is escaped. Empty where there is no point.
std::string RenderXyChart(const XyChart& chart);

}  // namespace fastkv

#endif  // FASTKV_EVAL_XY_CHART_H_
