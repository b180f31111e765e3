#include "eval/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/check.h"
#include "eval/human_format.h"

namespace fastkv {
namespace {

constexpr double kWidth = 420;
constexpr double kHeight = 270;
constexpr double kLeft = 62;
constexpr double kRight = 14;
constexpr double kTop = 12;
constexpr double kBottom = 30;
// Room on either side of the first and the last context.
constexpr double kInset = 22;
constexpr int kMaxTimeSteps = 5;
// How far above the largest median the axis follows single slow runs.
constexpr double kMaxOutlier = 1.25;
// Labels such as 131,072 need this much of the axis.
constexpr double kLabelWidth = 58;

class ChartWriter {
 public:
  explicit ChartWriter(const std::vector<ChartLine>& lines) : lines_(lines) {
    double median_ms = 0;
    for (const ChartLine& line : lines) {
      for (const ChartLine::Point& point : line.points) {
        contexts_.insert(point.context);
        median_ms = std::max(median_ms, point.ms.median);
        largest_ms_ = std::max(largest_ms_, point.ms.max);
      }
    }
    largest_ms_ = std::min(largest_ms_, kMaxOutlier * median_ms);
    FASTKV_CHECK(!contexts_.empty());
    step_ms_ = NiceStep(std::max(largest_ms_, 1e-6), kMaxTimeSteps);
    top_ms_ = step_ms_ * std::ceil(largest_ms_ / step_ms_ - 1e-9);
  }

  std::string Write(const std::string& title) {
    svg_ =
        fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                    kWidth, kHeight, EscapeHtml(title));
    Times();
    Contexts();
    for (const ChartLine& line : lines_) Line(line);
    return svg_ + "</svg>\n";
  }

 private:
  double X(int64_t context) const {
    const double low = std::log2(static_cast<double>(*contexts_.begin()));
    const double high = std::log2(static_cast<double>(*contexts_.rbegin()));
    const double room = kWidth - kLeft - kRight - 2 * kInset;
    if (high <= low) return kLeft + kInset + room / 2;
    return kLeft + kInset + room * (std::log2(static_cast<double>(context)) - low) / (high - low);
  }
  double Y(double ms) const {
    return kHeight - kBottom - (kHeight - kTop - kBottom) * ms / top_ms_;
  }

  void Times() {
    const auto num_steps = static_cast<int>(std::lround(top_ms_ / step_ms_));
    for (int i = 0; i <= num_steps; ++i) {
      const double ms = step_ms_ * i;
      svg_ += fmt::format(
          "<path class=\"rule\" d=\"M{:.1f} {:.1f}H{:.1f}\"/><text class=\"time\" x=\"{:.1f}\" "
          "y=\"{:.1f}\">{}</text>\n",
          kLeft, Y(ms), kWidth - kRight, kLeft - 7, Y(ms) + 4, i == 0 ? "0" : TickText(ms));
    }
  }

  // The unit of the axis' top, no more digits than the step has.
  std::string TickText(double ms) const {
    const bool seconds = top_ms_ >= 1000;
    const double unit = seconds ? 1000 : 1;
    const int digits =
        std::max(0, -static_cast<int>(std::floor(std::log10(step_ms_ / unit) + 1e-9)));
    return fmt::format("{:.{}f} {}", ms / unit, digits, seconds ? "s" : "ms");
  }

  void Contexts() {
    double last_x = kWidth + kLabelWidth;
    for (auto context = contexts_.rbegin(); context != contexts_.rend(); ++context) {
      const double x = X(*context);
      svg_ += fmt::format("<path class=\"tick\" d=\"M{:.1f} {:.1f}v5\"/>", x, kHeight - kBottom);
      if (last_x - x < kLabelWidth) continue;
      last_x = x;
      svg_ += fmt::format("<text class=\"context\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x,
                          kHeight - kBottom + 19, HumanCount(*context));
    }
    svg_ += "\n";
  }

  void Line(const ChartLine& line) {
    std::string path;
    std::string marks;
    for (const ChartLine::Point& point : line.points) {
      const double x = X(point.context);
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, Y(point.ms.median));
      marks += fmt::format(
          "<path class=\"range\" d=\"M{0:.1f} {1:.1f}V{2:.1f}\"/><circle cx=\"{0:.1f}\" "
          "cy=\"{3:.1f}\" r=\"4\"><title>{4} at {5}: {6}</title></circle>",
          x, Y(point.ms.min), Y(std::min(point.ms.max, top_ms_)), Y(point.ms.median),
          EscapeHtml(line.name), HumanCount(point.context), HumanDuration(point.ms.median));
    }
    svg_ += fmt::format("<g class=\"s{}\"><path class=\"line\" d=\"{}\"/>{}</g>\n", line.style,
                        path, marks);
  }

  const std::vector<ChartLine>& lines_;
  std::set<int64_t> contexts_;
  double largest_ms_ = 0;
  double step_ms_ = 1;
  double top_ms_ = 1;
  std::string svg_;
};

}  // namespace

double NiceStep(double largest, int max_steps) {
  FASTKV_CHECK(largest > 0);
  FASTKV_CHECK_GT(max_steps, 0);
  const double wanted = largest / max_steps;
  const double power = std::pow(10, std::floor(std::log10(wanted)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= wanted * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::string RenderLineChart(const std::string& title, const std::vector<ChartLine>& lines) {
  return ChartWriter(lines).Write(title);
}

}  // namespace fastkv
