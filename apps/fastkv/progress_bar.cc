#include "fastkv/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/clock.h"
#include "eval/human_format.h"

namespace fastkv {
namespace {

constexpr double kFirstDrawMs = 400;
constexpr double kRedrawMs = 100;
constexpr int kBarCells = 24;

}  // namespace

ProgressBar::ProgressBar(std::string label, bool quiet)
    : label_(std::move(label)),
      enabled_(!quiet && isatty(STDERR_FILENO) != 0),
      begin_ms_(SystemClock().NowMs()) {}

void ProgressBar::Show(double done, std::string_view detail) {
  if (!enabled_) return;
  const double now_ms = SystemClock().NowMs();
  const double elapsed_ms = now_ms - begin_ms_;
  if (elapsed_ms < kFirstDrawMs || now_ms - last_draw_ms_ < kRedrawMs) return;
  last_draw_ms_ = now_ms;
  done = std::clamp(done, 0.0, 1.0);
  const int filled = static_cast<int>(done * kBarCells);
  std::string line =
      fmt::format("\r\x1b[K{} [{}{}] {:3.0f} %  {}", label_, std::string(filled, '='),
                  std::string(kBarCells - filled, ' '), 100 * done, detail);
  if (done > 0.01) {
    line += fmt::format("  {} left", FormatDuration(elapsed_ms / 1000 * (1 - done) / done));
  }
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

PrefillBar::PrefillBar(std::string label, bool quiet)
    : bar_(std::move(label), quiet), begin_ms_(SystemClock().NowMs()) {}

void PrefillBar::Show(const PrefillProgress& progress, int64_t prompt_tokens) {
  const double share = progress.done_flops / progress.total_flops;
  const double seconds = (SystemClock().NowMs() - begin_ms_) / 1000;
  const double rate = seconds > 0 ? share * static_cast<double>(prompt_tokens) / seconds : 0;
  bar_.Show(share, fmt::format("layer {}/{}, {} tokens, {} tokens/s",
                               std::min(progress.layer + 1, progress.num_layers),
                               progress.num_layers, HumanCount(progress.tokens_in_layer),
                               HumanCount(static_cast<int64_t>(rate))));
}

std::string FormatDuration(double seconds) {
  const auto total = static_cast<int64_t>(seconds + 0.5);
  const int64_t hours = total / 3600;
  const int64_t minutes = total / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

}  // namespace fastkv
