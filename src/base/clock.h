// The time seam: durations are measured through a Clock, so that tests can replay any timing.
#ifndef FASTKV_BASE_CLOCK_H_
#define FASTKV_BASE_CLOCK_H_

namespace fastkv {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since an arbitrary fixed moment; never goes back. Thread-safe.
  virtual double NowMs() const = 0;
};

// The monotonic clock of the machine; lives as long as the process.
const Clock& SystemClock();

}  // namespace fastkv

#endif  // FASTKV_BASE_CLOCK_H_
