// Lines over the length of a prompt, as an SVG that reads well from 350 to 600 pixels of width.
#ifndef FASTKV_EVAL_LINE_CHART_H_
#define FASTKV_EVAL_LINE_CHART_H_

#include <cstdint>
#include <string>
#include <vector>

#include "eval/speed_report.h"

namespace fastkv {

struct ChartLine {
  std::string name;
  int style = 0;  // of the classes s0, s1, ... of speed_page.css
  struct Point {
    int64_t context = 0;
    Spread ms;
  };
  std::vector<Point> points;  // ascending contexts; one alone is drawn as a mark
};

// `title` says what the picture shows to those who cannot see it. Contexts stand at the logarithm of
// their length, times from 0 up; a thin stroke spans the least and the greatest, cut off at the top
// where one slow run would press the lines together. REQUIRES: at least one line, each with at least
// one point; positive contexts and times.
std::string RenderLineChart(const std::string& title, const std::vector<ChartLine>& lines);

// The least of 1, 2 and 5 times a power of ten that divides 0 to `largest` into at most
// `max_steps` steps. REQUIRES: both above 0.
double NiceStep(double largest, int max_steps);

}  // namespace fastkv

#endif  // FASTKV_EVAL_LINE_CHART_H_
