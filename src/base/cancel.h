// A cancel flag of one request. Read between blocks of work; never global.
#ifndef FASTKV_BASE_CANCEL_H_
#define FASTKV_BASE_CANCEL_H_

#include <atomic>

namespace fastkv {

// Thread-safe; Cancel() may also be called from a signal handler.
class CancelFlag {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  void Reset() { cancelled_.store(false, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_ = false;
  static_assert(std::atomic<bool>::is_always_lock_free);
};

}  // namespace fastkv

#endif  // FASTKV_BASE_CANCEL_H_
