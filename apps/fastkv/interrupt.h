// Ctrl-C: the request's flag is raised at once; if the engine is in the middle of a long operation
// and has not come back within a moment, the terminal is cleaned and the process ends with status
// 130. In a chat Ctrl-C stops the answer and the process goes on.
#ifndef FASTKV_APPS_INTERRUPT_H_
#define FASTKV_APPS_INTERRUPT_H_

#include <atomic>
#include <csignal>
#include <thread>

#include "base/cancel.h"

namespace fastkv {

enum class OnInterrupt {
  kEndProcess,
  // SIGINT raises the flag and no more, unless it comes again and the engine has not come back for
  // a second.
  kKeepProcess,
};

// While an object lives, SIGINT and SIGTERM raise `cancel` instead of ending the process. At most
// one object at a time; make it on the main thread before other threads start.
class InterruptGuard {
 public:
  explicit InterruptGuard(CancelFlag& cancel, OnInterrupt on_interrupt = OnInterrupt::kEndProcess);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void Watch();

  CancelFlag& cancel_;
  OnInterrupt on_interrupt_;
  sigset_t mask_before_;
  std::atomic<bool> done_ = false;
  std::thread watcher_;
};

// What ended a wait for input.
enum class Wakening {
  kInput,  // or its end
  kInterrupt,
  kTerminate,
};

// Waits for input with SIGINT and SIGTERM as events beside it: while an object lives they are held
// back from the process. Make it on the main thread before other threads start; an InterruptGuard
// may live inside.
class InputWaiter {
 public:
  InputWaiter();
  ~InputWaiter();
  InputWaiter(const InputWaiter&) = delete;
  InputWaiter& operator=(const InputWaiter&) = delete;

  // Returns when `descriptor` can be read, or a signal came.
  Wakening Wait(int descriptor);

 private:
  sigset_t mask_before_;
  int signals_ = -1;
};

}  // namespace fastkv

#endif  // FASTKV_APPS_INTERRUPT_H_
