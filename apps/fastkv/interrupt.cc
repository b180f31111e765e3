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

InterruptGuard::InterruptGuard(CancelFlag& cancel) : cancel_(cancel) {
  const sigset_t signals = InterruptSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  watcher_ = std::thread([this] { Watch(); });
}

InterruptGuard::~InterruptGuard() {
  done_ = true;
  watcher_.join();
  const sigset_t signals = InterruptSignals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void InterruptGuard::Watch() {
  const sigset_t signals = InterruptSignals();
  const int descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) return;
  double cancelled_at_ms = -1;
  while (!done_) {
    pollfd event = {.fd = descriptor, .events = POLLIN, .revents = 0};
    signalfd_siginfo info;
    if (poll(&event, 1, kPollMs) > 0 && read(descriptor, &info, sizeof(info)) == sizeof(info)) {
      cancel_.Cancel();
      if (cancelled_at_ms < 0) cancelled_at_ms = SystemClock().NowMs();
    }
    if (cancelled_at_ms >= 0 && SystemClock().NowMs() - cancelled_at_ms > kGraceMs) {
      const std::string_view message =
          isatty(STDERR_FILENO) != 0 ? "\r\x1b[Kfastkv: interrupted\n" : "fastkv: interrupted\n";
      [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, message.data(), message.size());
      _exit(kExitInterrupted);
    }
  }
  close(descriptor);
}

}  // namespace fastkv
