// The file seam. Everything read or written by fastkv goes through a FileSystem, so that a test can
// make any single operation fail. Only regular files are opened; opening never blocks.
#ifndef FASTKV_IO_FILE_H_
#define FASTKV_IO_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fastkv {

// A read-only mapping of a whole file. If the file is truncated while mapped, reads give zero bytes
// instead of ending the process, and damaged() becomes true. Thread-safe.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual std::span<const std::byte> bytes() const = 0;
  // True once a read has touched bytes that the file no longer has, and when the file's size or
  // time of change is no longer what it was. Unlinking the file, or renaming another over it, does
  // no damage.
  virtual bool damaged() const = 0;
};

// Appends to one file; as long as it lives, no other process may open the file for appending. Not
// thread-safe.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  // Errors: kIo (disk full and the like); then the file may hold a torn tail.
  virtual Status Append(std::string_view bytes) = 0;
  // Makes what was appended durable.
  virtual Status Sync() = 0;
};

// Thread-safe. Errors of all reading calls: kNotFound (missing, no permission, not a regular file),
// kLimit (larger than allowed), kIo (the read itself failed). Messages name the path.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // The whole content. Refuses files above `max_bytes` before reading.
  virtual Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes) = 0;
  virtual Result<std::unique_ptr<MappedFile>> Map(const std::string& path) = 0;
  virtual Result<bool> Exists(const std::string& path) = 0;
  virtual Result<bool> IsDirectory(const std::string& path) = 0;
  // The absolute path with symbolic links resolved.
  virtual Result<std::string> RealPath(const std::string& path) = 0;
  // Replaces the file in one step: temporary name, sync, rename. On failure the old file stands.
  virtual Status WriteFile(const std::string& path, std::string_view content) = 0;
  // Opens for appending, creating the file where it is missing. Errors: kInvalidArgument also when
  // another process has it open for appending.
  virtual Result<std::unique_ptr<AppendFile>> OpenForAppend(const std::string& path) = 0;
  // Makes the folder and those above it where they are missing. Errors: kNotFound (something that
  // is no folder stands in the way, no permission), kIo.
  virtual Status CreateDirectory(const std::string& path) = 0;
  // The names of what lies in a folder, sorted by their bytes.
  virtual Result<std::vector<std::string>> ListDirectory(const std::string& path) = 0;
};

// The machine's files; lives as long as the process.
FileSystem& RealFileSystem();

// folder + "/" + name.
std::string JoinPath(std::string_view folder, std::string_view name);

}  // namespace fastkv

#endif  // FASTKV_IO_FILE_H_
