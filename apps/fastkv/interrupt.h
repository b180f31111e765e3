// Ctrl-C: the request's flag is raised at once; if the engine is in the middle of a long operation
// and has not come back within a moment, the terminal is cleaned and the process ends with status
// 130.
#ifndef FASTKV_APPS_INTERRUPT_H_
#define FASTKV_APPS_INTERRUPT_H_

#include <atomic>
#include <thread>

#include "base/cancel.h"

namespace fastkv {

// While an object lives, SIGINT and SIGTERM raise `cancel` instead of ending the process. At most
// one object at a time; make it on the main thread before other threads start.
class InterruptGuard {
 public:
  explicit InterruptGuard(CancelFlag& cancel);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void Watch();

  CancelFlag& cancel_;
  std::atomic<bool> done_ = false;
  std::thread watcher_;
};

}  // namespace fastkv

#endif  // FASTKV_APPS_INTERRUPT_H_
