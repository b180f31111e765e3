// Guarded read-only mappings: a page that the file no longer has reads as zeros instead of raising
// SIGBUS.
#ifndef FASTKV_IO_MAPPED_FILE_H_
#define FASTKV_IO_MAPPED_FILE_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "io/file.h"
#include "io/system_calls.h"

namespace fastkv {

// Owns a file descriptor. Movable.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor();
  int get() const { return fd_; }

 private:
  int fd_;
};

// Maps the open regular file `file`, whose state is `info`. The first call installs a SIGBUS
// handler for the whole process; faults outside these mappings go on to the handler that was there
// before. `path` serves messages only. Errors: kIo, kMemory.
Result<std::unique_ptr<MappedFile>> NewGuardedMapping(SystemCalls& calls, FileDescriptor file,
                                                      const struct stat& info,
                                                      const std::string& path);

}  // namespace fastkv

#endif  // FASTKV_IO_MAPPED_FILE_H_
