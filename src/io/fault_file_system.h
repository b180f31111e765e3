// The machine's file system with one planned fault, for tests of all parts. A test runs its subject
// with the fault at operation 0, 1, 2 ... until a run ends in which the fault was not reached:
//
//   for (int64_t k = 0;; ++k) {
//     FaultFileSystem files(k, Fault::kError);
//     const Status status = Subject(files);
//     if (!files.reached()) break;
//     EXPECT_EQ(status.code(), StatusCode::kIo);
//   }
#ifndef FASTKV_IO_FAULT_FILE_SYSTEM_H_
#define FASTKV_IO_FAULT_FILE_SYSTEM_H_

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "io/system_calls.h"

namespace fastkv {

enum class Fault {
  kError,        // EIO
  kNoSpace,      // ENOSPC
  kNoMemory,     // ENOMEM
  kInterrupted,  // EINTR, once, from the calls that a signal can interrupt; others succeed
  kShort,        // one byte moves, whatever was asked for; calls that move no bytes succeed
  kEarlyEnd,     // a read finds the end of the file; other calls succeed
};

// Counts the calls (open, stat, read, write, sync, rename, map, resolve, make and list a folder)
// and lets number `fault_at`, counted from 0, meet `fault`. Thread-safe.
class FaultySystemCalls final : public SystemCalls {
 public:
  FaultySystemCalls(int64_t fault_at, Fault fault) : fault_at_(fault_at), fault_(fault) {}

  bool reached() const { return num_calls_.load() > fault_at_; }

  int Open(const char* path, int flags, mode_t mode) override {
    return Fails(true) ? -1 : SystemCalls::Open(path, flags, mode);
  }
  int Stat(const char* path, struct stat* info) override {
    return Fails(false) ? -1 : SystemCalls::Stat(path, info);
  }
  int Fstat(int fd, struct stat* info) override {
    return Fails(false) ? -1 : SystemCalls::Fstat(fd, info);
  }
  ssize_t Read(int fd, void* buffer, size_t num_bytes) override {
    const bool here = num_calls_.load() == fault_at_;
    if (Fails(true)) return -1;
    if (here && fault_ == Fault::kEarlyEnd) return 0;
    return SystemCalls::Read(fd, buffer, here ? ShortCount(num_bytes) : num_bytes);
  }
  ssize_t Write(int fd, const void* buffer, size_t num_bytes) override {
    const bool here = num_calls_.load() == fault_at_;
    if (Fails(true)) return -1;
    return SystemCalls::Write(fd, buffer, here ? ShortCount(num_bytes) : num_bytes);
  }
  int Fsync(int fd) override { return Fails(true) ? -1 : SystemCalls::Fsync(fd); }
  int Rename(const char* from, const char* to) override {
    return Fails(false) ? -1 : SystemCalls::Rename(from, to);
  }
  void* MapReadOnly(size_t num_bytes, int fd) override {
    return Fails(false) ? MAP_FAILED : SystemCalls::MapReadOnly(num_bytes, fd);
  }
  char* RealPath(const char* path, char* resolved) override {
    return Fails(false) ? nullptr : SystemCalls::RealPath(path, resolved);
  }
  int MakeDirectory(const char* path, mode_t mode) override {
    return Fails(false) ? -1 : SystemCalls::MakeDirectory(path, mode);
  }
  DIR* OpenDirectory(const char* path) override {
    return Fails(false) ? nullptr : SystemCalls::OpenDirectory(path);
  }

 private:
  bool Fails(bool interruptible) {
    if (num_calls_.fetch_add(1) != fault_at_) return false;
    switch (fault_) {
      case Fault::kError:
        errno = EIO;
        return true;
      case Fault::kNoSpace:
        errno = ENOSPC;
        return true;
      case Fault::kNoMemory:
        errno = ENOMEM;
        return true;
      case Fault::kInterrupted:
        errno = EINTR;
        return interruptible;
      case Fault::kShort:
      case Fault::kEarlyEnd:
        return false;
    }
    return false;
  }
  size_t ShortCount(size_t num_bytes) const {
    return fault_ == Fault::kShort ? std::min<size_t>(num_bytes, 1) : num_bytes;
  }

  const int64_t fault_at_;
  const Fault fault_;
  std::atomic<int64_t> num_calls_{0};
};

// Mappings and append files must not outlive it.
class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem(int64_t fault_at, Fault fault)
      : calls_(fault_at, fault), files_(NewFileSystem(calls_)) {}

  // Whether the call that meets the fault has been made.
  bool reached() const { return calls_.reached(); }

  Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes) override {
    return files_->ReadFile(path, max_bytes);
  }
  Result<std::unique_ptr<MappedFile>> Map(const std::string& path) override {
    return files_->Map(path);
  }
  Result<bool> Exists(const std::string& path) override { return files_->Exists(path); }
  Result<bool> IsDirectory(const std::string& path) override { return files_->IsDirectory(path); }
  Result<std::string> RealPath(const std::string& path) override { return files_->RealPath(path); }
  Status WriteFile(const std::string& path, std::string_view content) override {
    return files_->WriteFile(path, content);
  }
  Result<std::unique_ptr<AppendFile>> OpenForAppend(const std::string& path) override {
    return files_->OpenForAppend(path);
  }
  Status CreateDirectory(const std::string& path) override { return files_->CreateDirectory(path); }
  Result<std::vector<std::string>> ListDirectory(const std::string& path) override {
    return files_->ListDirectory(path);
  }

 private:
  FaultySystemCalls calls_;
  const std::unique_ptr<FileSystem> files_;
};

}  // namespace fastkv

#endif  // FASTKV_IO_FAULT_FILE_SYSTEM_H_
