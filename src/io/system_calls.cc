#include "io/system_calls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

namespace fastkv {

int SystemCalls::Open(const char* path, int flags, mode_t mode) {
  return ::open(path, flags, mode);
}
int SystemCalls::Stat(const char* path, struct stat* info) { return ::stat(path, info); }
int SystemCalls::Fstat(int fd, struct stat* info) { return ::fstat(fd, info); }
ssize_t SystemCalls::Read(int fd, void* buffer, size_t num_bytes) {
  return ::read(fd, buffer, num_bytes);
}
ssize_t SystemCalls::Write(int fd, const void* buffer, size_t num_bytes) {
  return ::write(fd, buffer, num_bytes);
}
int SystemCalls::Fsync(int fd) { return ::fsync(fd); }
int SystemCalls::Rename(const char* from, const char* to) { return ::rename(from, to); }
void* SystemCalls::MapReadOnly(size_t num_bytes, int fd) {
  return ::mmap(nullptr, num_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
}
char* SystemCalls::RealPath(const char* path, char* resolved) { return ::realpath(path, resolved); }
int SystemCalls::MakeDirectory(const char* path, mode_t mode) { return ::mkdir(path, mode); }
DIR* SystemCalls::OpenDirectory(const char* path) { return ::opendir(path); }

}  // namespace fastkv
