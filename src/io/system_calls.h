// The operating system's file calls, one virtual function each, so that a test can make any single
// one fail, be interrupted, or move fewer bytes than asked.
#ifndef FASTKV_IO_SYSTEM_CALLS_H_
#define FASTKV_IO_SYSTEM_CALLS_H_

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <memory>

#include "io/file.h"

namespace fastkv {

// Every function has the meaning, the return value and the errno of the POSIX call it is named
// after. Thread-safe.
class SystemCalls {
 public:
  virtual ~SystemCalls() = default;
  virtual int Open(const char* path, int flags, mode_t mode);
  virtual int Stat(const char* path, struct stat* info);
  virtual int Fstat(int fd, struct stat* info);
  virtual ssize_t Read(int fd, void* buffer, size_t num_bytes);
  virtual ssize_t Write(int fd, const void* buffer, size_t num_bytes);
  virtual int Fsync(int fd);
  virtual int Rename(const char* from, const char* to);
  // A private read-only mapping of the whole file from offset 0.
  virtual void* MapReadOnly(size_t num_bytes, int fd);
  // `resolved` holds PATH_MAX bytes.
  virtual char* RealPath(const char* path, char* resolved);
  virtual int MakeDirectory(const char* path, mode_t mode);
  virtual DIR* OpenDirectory(const char* path);
};

// A file system over `calls`, which must outlive it and everything that it opens.
std::unique_ptr<FileSystem> NewFileSystem(SystemCalls& calls);

}  // namespace fastkv

#endif  // FASTKV_IO_SYSTEM_CALLS_H_
