#include "base/clock.h"

#include <chrono>

namespace fastkv {
namespace {

class SteadyClock final : public Clock {
 public:
  double NowMs() const override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
  }
};

}  // namespace

const Clock& SystemClock() {
  static const SteadyClock clock;
  return clock;
}

}  // namespace fastkv
