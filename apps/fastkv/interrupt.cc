#include "fastkv/interrupt.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

#include "base/clock.h"

namespace fastkv {
namespace {

// People feel an answer within 0.2 s as immediate.
constexpr double kGraceMs = 150;
// Where the process goes on, a second Ctrl-C after this long means that it should not.
constexpr double kPatienceMs = 1000;
constexpr int kPollMs = 20;
constexpr int kExitInterrupted = 130;

sigset_t InterruptSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

InterruptGuard::InterruptGuard(CancelFlag& cancel, OnInterrupt on_interrupt)
    : cancel_(cancel), on_interrupt_(on_interrupt) {
  const sigset_t signals = InterruptSignals();
  pthread_sigmask(SIG_BLOCK, &signals, &mask_before_);
  watcher_ = std::thread([this] { Watch(); });
}

InterruptGuard::~InterruptGuard() {
  done_ = true;
  watcher_.join();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

void InterruptGuard::Watch() {
  const sigset_t signals = InterruptSignals();
  const int descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) return;
  double cancelled_at_ms = -1;
  bool must_end = false;
  while (!done_) {
    pollfd event = {.fd = descriptor, .events = POLLIN, .revents = 0};
    signalfd_siginfo info;
    const double now_ms = SystemClock().NowMs();
    if (poll(&event, 1, kPollMs) > 0 && read(descriptor, &info, sizeof(info)) == sizeof(info)) {
      cancel_.Cancel();
      const bool keeps = on_interrupt_ == OnInterrupt::kKeepProcess && info.ssi_signo == SIGINT;
      must_end =
          must_end || !keeps || (cancelled_at_ms >= 0 && now_ms - cancelled_at_ms > kPatienceMs);
      if (cancelled_at_ms < 0) cancelled_at_ms = now_ms;
    }
    if (must_end && SystemClock().NowMs() - cancelled_at_ms > kGraceMs) {
      const std::string_view message =
          isatty(STDERR_FILENO) != 0 ? "\r\x1b[Kfastkv: interrupted\n" : "fastkv: interrupted\n";
      [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, message.data(), message.size());
      _exit(kExitInterrupted);
    }
  }
  close(descriptor);
}

InputWaiter::InputWaiter() {
  const sigset_t signals = InterruptSignals();
  pthread_sigmask(SIG_BLOCK, &signals, &mask_before_);
  signals_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

InputWaiter::~InputWaiter() {
  if (signals_ >= 0) close(signals_);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

Wakening InputWaiter::Wait(int descriptor) {
  while (true) {
    // A descriptor below 0 is passed over.
    pollfd events[] = {{.fd = signals_, .events = POLLIN, .revents = 0},
                       {.fd = descriptor, .events = POLLIN, .revents = 0}};
    if (poll(events, 2, -1) <= 0) continue;
    signalfd_siginfo info;
    if (events[0].revents != 0 && read(signals_, &info, sizeof(info)) == sizeof(info)) {
      return info.ssi_signo == SIGINT ? Wakening::kInterrupt : Wakening::kTerminate;
    }
    if (events[1].revents != 0) return Wakening::kInput;
  }
}

}  // namespace fastkv
