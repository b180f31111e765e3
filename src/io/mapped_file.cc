#include "io/mapped_file.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace fastkv {
namespace {

// One guarded address range. The signal handler may walk the list at any moment, so regions are
// never freed: a region without a range (begin 0) waits to be used again.
struct Region {
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> damaged{false};
  Region* next = nullptr;
};

std::atomic<Region*> region_list{nullptr};
struct sigaction previous_action;
uintptr_t page_bytes = 0;

static_assert(std::atomic<uintptr_t>::is_always_lock_free &&
              std::atomic<Region*>::is_always_lock_free);

Region* FindRegion(uintptr_t address) {
  for (Region* region = region_list.load(std::memory_order_acquire); region != nullptr;
       region = region->next) {
    const uintptr_t begin = region->begin.load(std::memory_order_acquire);
    if (begin != 0 && begin <= address && address < region->end.load(std::memory_order_relaxed)) {
      return region;
    }
  }
  return nullptr;
}

void ForwardToPreviousHandler(int signal_number, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal_number, info, context);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal_number);
  } else {
    signal(SIGBUS, SIG_DFL);
    raise(SIGBUS);
  }
}

void HandleBusError(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  // Codes up to 0 mark a signal that somebody sent; its address means nothing.
  Region* region = info->si_code > 0 ? FindRegion(address) : nullptr;
  if (region != nullptr) {
    void* page = reinterpret_cast<void*>(address & ~(page_bytes - 1));
    if (mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
        MAP_FAILED) {
      region->damaged.store(true, std::memory_order_relaxed);
      errno = saved_errno;
      return;
    }
  }
  errno = saved_errno;
  ForwardToPreviousHandler(signal_number, info, context);
}

std::mutex& RegistryMutex() {
  static std::mutex* mutex = new std::mutex;
  return *mutex;
}

Status InstallHandlerOnce() {
  static bool installed = false;
  if (installed) return OkStatus();
  page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action = {};
  action.sa_sigaction = HandleBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGBUS, &action, &previous_action) != 0) {
    return IoError("cannot install a handler for bus errors: " +
                   std::generic_category().message(errno));
  }
  installed = true;
  return OkStatus();
}

Result<Region*> Register(uintptr_t begin, uintptr_t end) {
  const std::lock_guard<std::mutex> lock(RegistryMutex());
  FASTKV_RETURN_IF_ERROR(InstallHandlerOnce());
  Region* region = region_list.load(std::memory_order_relaxed);
  while (region != nullptr && region->begin.load(std::memory_order_relaxed) != 0) {
    region = region->next;
  }
  if (region == nullptr) {
    region = new Region;
    region->next = region_list.load(std::memory_order_relaxed);
    region_list.store(region, std::memory_order_release);
  }
  region->damaged.store(false, std::memory_order_relaxed);
  region->end.store(end, std::memory_order_relaxed);
  region->begin.store(begin, std::memory_order_release);
  return region;
}

void Unregister(Region* region) {
  const std::lock_guard<std::mutex> lock(RegistryMutex());
  region->begin.store(0, std::memory_order_release);
}

class GuardedMapping final : public MappedFile {
 public:
  GuardedMapping(SystemCalls& calls, FileDescriptor file, const struct stat& info)
      : calls_(calls), file_(std::move(file)), info_(info) {}

  ~GuardedMapping() override {
    // In this order, for once the range is unmapped another mapping may get the same addresses.
    if (region_ != nullptr) Unregister(region_);
    if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }

  Status Map(const std::string& path) {
    if (info_.st_size <= 0) return OkStatus();
    const auto num_bytes = static_cast<size_t>(info_.st_size);
    void* address = calls_.MapReadOnly(num_bytes, file_.get());
    if (address == MAP_FAILED) {
      const int error = errno;
      std::string message = "cannot map " + path + ": " + std::generic_category().message(error);
      return error == ENOMEM ? MemoryError(std::move(message)) : IoError(std::move(message));
    }
    bytes_ = {static_cast<const std::byte*>(address), num_bytes};
    const auto begin = reinterpret_cast<uintptr_t>(address);
    FASTKV_ASSIGN_OR_RETURN(region_, Register(begin, begin + num_bytes));
    return OkStatus();
  }

  std::span<const std::byte> bytes() const override { return bytes_; }

  bool damaged() const override {
    if (region_ != nullptr && region_->damaged.load(std::memory_order_relaxed)) return true;
    // A file rewritten in place raises no signal: other bytes simply show through the mapping.
    struct stat now = {};
    if (calls_.Fstat(file_.get(), &now) != 0) return true;
    return now.st_size != info_.st_size || now.st_mtim.tv_sec != info_.st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != info_.st_mtim.tv_nsec;
  }

 private:
  SystemCalls& calls_;
  const FileDescriptor file_;
  const struct stat info_;
  std::span<const std::byte> bytes_;
  Region* region_ = nullptr;
};

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

Result<std::unique_ptr<MappedFile>> NewGuardedMapping(SystemCalls& calls, FileDescriptor file,
                                                      const struct stat& info,
                                                      const std::string& path) {
  auto mapping = std::make_unique<GuardedMapping>(calls, std::move(file), info);
  FASTKV_RETURN_IF_ERROR(mapping->Map(path));
  return std::unique_ptr<MappedFile>(std::move(mapping));
}

}  // namespace fastkv
