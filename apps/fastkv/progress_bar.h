// A progress bar on standard error, for people: drawn on a terminal only, not for what is over at
// once, and gone without a trace when it ends.
#ifndef FASTKV_APPS_PROGRESS_BAR_H_
#define FASTKV_APPS_PROGRESS_BAR_H_

#include <string>
#include <string_view>

#include "engine/prefill.h"

namespace fastkv {

class ProgressBar {
 public:
  // `quiet`: never draws anything.
  ProgressBar(std::string label, bool quiet);
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` in [0, 1]; `detail` stands behind the bar, time left behind that.
  void Show(double done, std::string_view detail);
  // Takes the bar off the screen.
  void Clear();

 private:
  std::string label_;
  bool enabled_;
  bool drawn_ = false;
  double begin_ms_;
  double last_draw_ms_ = 0;
};

// Shows a prefill: layer, prompt tokens per second and time left, from the plan's operations, so
// that the drop after the TSP layer is known beforehand.
class PrefillBar {
 public:
  PrefillBar(std::string label, bool quiet);
  void Show(const PrefillProgress& progress, int64_t prompt_tokens);
  void Clear() { bar_.Clear(); }

 private:
  ProgressBar bar_;
  double begin_ms_;
};

// "0:07", "12:34", "1:02:03".
std::string FormatDuration(double seconds);

}  // namespace fastkv

#endif  // FASTKV_APPS_PROGRESS_BAR_H_
