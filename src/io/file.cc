#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <system_error>
#include <utility>

#include "io/mapped_file.h"
#include "io/system_calls.h"

namespace fastkv {
namespace {

// Maps an errno value to the kind of error that callers tell apart.
Status SystemError(const std::string& action, const std::string& path, int error) {
  std::string message =
      "cannot " + action + " " + path + ": " + std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EEXIST:
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENAMETOOLONG:
    case EISDIR:
    case ENXIO:
      return NotFoundError(std::move(message));
    case ENOMEM:
      return MemoryError(std::move(message));
    default:
      return IoError(std::move(message));
  }
}

// Calls `call` again for as long as a signal interrupts it.
template <typename Call>
auto RetryInterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

Status CheckPathText(const std::string& path) {
  if (path.find('\0') == std::string::npos) return OkStatus();
  return NotFoundError("cannot open a file: its path holds a zero byte");
}

Status CheckRegular(const struct stat& info, const std::string& path) {
  if (S_ISREG(info.st_mode)) return OkStatus();
  const char* kind = S_ISDIR(info.st_mode) ? "a directory" : "a device, pipe or socket";
  return NotFoundError("cannot open " + path + ": expected a regular file, found " + kind);
}

struct OpenedFile {
  FileDescriptor descriptor;
  struct stat info;
};

class PosixFileSystem final : public FileSystem {
 public:
  explicit PosixFileSystem(SystemCalls& calls) : calls_(calls) {}

  Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes) override;
  Result<std::unique_ptr<MappedFile>> Map(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<bool> IsDirectory(const std::string& path) override;
  Result<std::string> RealPath(const std::string& path) override;
  Status WriteFile(const std::string& path, std::string_view content) override;
  Result<std::unique_ptr<AppendFile>> OpenForAppend(const std::string& path) override;
  Status CreateDirectory(const std::string& path) override;
  Result<std::vector<std::string>> ListDirectory(const std::string& path) override;

 private:
  // False when nothing is there.
  Result<bool> Stat(const std::string& path, struct stat* info);
  // Opens a regular file that may be missing only when `flags` create it.
  Result<OpenedFile> OpenRegular(const std::string& path, int flags);
  // `shown_path` serves messages only.
  Status WriteAndSync(const std::string& path, std::string_view content,
                      const std::string& shown_path);
  Status SyncFolderOf(const std::string& path);

  SystemCalls& calls_;
};

Status WriteAll(SystemCalls& calls, int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written =
        RetryInterrupted([&] { return calls.Write(fd, bytes.data(), bytes.size()); });
    if (written < 0) return SystemError("write", path, errno);
    if (written == 0) return IoError("cannot write " + path + ": no bytes were taken");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

class PosixAppendFile final : public AppendFile {
 public:
  PosixAppendFile(SystemCalls& calls, FileDescriptor descriptor, std::string path)
      : calls_(calls), descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Status Append(std::string_view bytes) override {
    return WriteAll(calls_, descriptor_.get(), bytes, path_);
  }
  Status Sync() override {
    if (RetryInterrupted([&] { return calls_.Fsync(descriptor_.get()); }) != 0) {
      return SystemError("sync", path_, errno);
    }
    return OkStatus();
  }

 private:
  SystemCalls& calls_;
  const FileDescriptor descriptor_;
  const std::string path_;
};

Result<bool> PosixFileSystem::Stat(const std::string& path, struct stat* info) {
  FASTKV_RETURN_IF_ERROR(CheckPathText(path));
  if (RetryInterrupted([&] { return calls_.Stat(path.c_str(), info); }) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return SystemError("look at", path, errno);
}

Result<OpenedFile> PosixFileSystem::OpenRegular(const std::string& path, int flags) {
  // Looked at first, because already opening some devices does something; and once more after
  // opening, because the name may mean another file by then.
  struct stat info = {};
  FASTKV_ASSIGN_OR_RETURN(const bool exists, Stat(path, &info));
  if (exists) {
    FASTKV_RETURN_IF_ERROR(CheckRegular(info, path));
  } else if ((flags & O_CREAT) == 0) {
    return SystemError("open", path, ENOENT);
  }
  const int fd = RetryInterrupted(
      [&] { return calls_.Open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666); });
  if (fd < 0) return SystemError("open", path, errno);
  OpenedFile opened = {FileDescriptor(fd), {}};
  if (RetryInterrupted([&] { return calls_.Fstat(fd, &opened.info); }) != 0) {
    return SystemError("look at", path, errno);
  }
  FASTKV_RETURN_IF_ERROR(CheckRegular(opened.info, path));
  return opened;
}

Result<std::string> PosixFileSystem::ReadFile(const std::string& path, uint64_t max_bytes) {
  FASTKV_ASSIGN_OR_RETURN(const OpenedFile file, OpenRegular(path, O_RDONLY));
  const auto too_large = [&] {
    return LimitError("cannot read " + path + ": it is larger than the " +
                      std::to_string(max_bytes) + " bytes allowed for it");
  };
  const auto stated_bytes = static_cast<uint64_t>(file.info.st_size);
  if (stated_bytes > max_bytes) return too_large();
  // Read to the end, whatever the stated size: the file may grow, and files of /proc state 0.
  std::string content;
  content.reserve(stated_bytes + 1);
  std::array<char, 64 << 10> block;
  while (true) {
    const ssize_t count = RetryInterrupted(
        [&] { return calls_.Read(file.descriptor.get(), block.data(), block.size()); });
    if (count < 0) return SystemError("read", path, errno);
    if (count == 0) return content;
    if (static_cast<uint64_t>(count) > max_bytes - content.size()) return too_large();
    content.append(block.data(), static_cast<size_t>(count));
  }
}

Result<std::unique_ptr<MappedFile>> PosixFileSystem::Map(const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(OpenedFile file, OpenRegular(path, O_RDONLY));
  return NewGuardedMapping(calls_, std::move(file.descriptor), file.info, path);
}

Result<bool> PosixFileSystem::Exists(const std::string& path) {
  struct stat info = {};
  return Stat(path, &info);
}

Result<bool> PosixFileSystem::IsDirectory(const std::string& path) {
  struct stat info = {};
  FASTKV_ASSIGN_OR_RETURN(const bool exists, Stat(path, &info));
  return exists && S_ISDIR(info.st_mode);
}

Result<std::string> PosixFileSystem::RealPath(const std::string& path) {
  FASTKV_RETURN_IF_ERROR(CheckPathText(path));
  std::array<char, PATH_MAX> resolved;
  if (calls_.RealPath(path.c_str(), resolved.data()) == nullptr) {
    return SystemError("resolve", path, errno);
  }
  return std::string(resolved.data());
}

Status PosixFileSystem::WriteAndSync(const std::string& path, std::string_view content,
                                     const std::string& shown_path) {
  const int fd = RetryInterrupted(
      [&] { return calls_.Open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
  if (fd < 0) return SystemError("create", shown_path, errno);
  const FileDescriptor descriptor(fd);
  Status status = WriteAll(calls_, fd, content, shown_path);
  if (status.ok() && RetryInterrupted([&] { return calls_.Fsync(fd); }) != 0) {
    status = SystemError("sync", shown_path, errno);
  }
  if (!status.ok()) unlink(path.c_str());
  return status;
}

Status PosixFileSystem::SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = RetryInterrupted(
      [&] { return calls_.Open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
  if (fd < 0) return SystemError("open", folder, errno);
  const FileDescriptor descriptor(fd);
  // Some file systems cannot sync a folder and say EINVAL; there is nothing more to do then.
  if (RetryInterrupted([&] { return calls_.Fsync(fd); }) != 0 && errno != EINVAL) {
    return SystemError("sync", folder, errno);
  }
  return OkStatus();
}

Status PosixFileSystem::WriteFile(const std::string& path, std::string_view content) {
  static std::atomic<uint64_t> num_temporaries{0};
  struct stat info = {};
  FASTKV_ASSIGN_OR_RETURN(const bool exists, Stat(path, &info));
  std::string target = path;
  if (exists) {
    FASTKV_RETURN_IF_ERROR(CheckRegular(info, path));
    // Where `path` is a symbolic link, the file behind it is replaced, not the link.
    FASTKV_ASSIGN_OR_RETURN(target, RealPath(path));
  }
  const std::string temporary = target + ".tmp-" + std::to_string(getpid()) + "-" +
                                std::to_string(num_temporaries.fetch_add(1));
  FASTKV_RETURN_IF_ERROR(WriteAndSync(temporary, content, path));
  if (RetryInterrupted([&] { return calls_.Rename(temporary.c_str(), target.c_str()); }) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return SystemError("replace", path, error);
  }
  return SyncFolderOf(target);
}

Result<std::unique_ptr<AppendFile>> PosixFileSystem::OpenForAppend(const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(OpenedFile file, OpenRegular(path, O_WRONLY | O_APPEND | O_CREAT));
  // File systems without locks fail in another way; then there is no such protection.
  if (flock(file.descriptor.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return InvalidArgumentError("cannot append to " + path +
                                ": another process is writing it; wait for it or end it first");
  }
  return std::unique_ptr<AppendFile>(
      std::make_unique<PosixAppendFile>(calls_, std::move(file.descriptor), path));
}

Status PosixFileSystem::CreateDirectory(const std::string& path) {
  FASTKV_RETURN_IF_ERROR(CheckPathText(path));
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string folder = path.substr(0, end);
    if (calls_.MakeDirectory(folder.c_str(), 0777) != 0 && errno != EEXIST) {
      return SystemError("create the folder", folder, errno);
    }
    if (end == std::string::npos) break;
  }
  FASTKV_ASSIGN_OR_RETURN(const bool is_folder, IsDirectory(path));
  return is_folder ? OkStatus() : SystemError("create the folder", path, EEXIST);
}

Result<std::vector<std::string>> PosixFileSystem::ListDirectory(const std::string& path) {
  FASTKV_RETURN_IF_ERROR(CheckPathText(path));
  std::vector<std::string> names;
  DIR* folder = calls_.OpenDirectory(path.c_str());
  if (folder == nullptr) return SystemError("list", path, errno);
  errno = 0;
  for (const dirent* entry = readdir(folder); entry != nullptr; entry = readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error = errno;
  closedir(folder);
  if (error != 0) return SystemError("list", path, error);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::unique_ptr<FileSystem> NewFileSystem(SystemCalls& calls) {
  return std::make_unique<PosixFileSystem>(calls);
}

FileSystem& RealFileSystem() {
  static SystemCalls* calls = new SystemCalls;
  static FileSystem* files = new PosixFileSystem(*calls);
  return *files;
}

std::string JoinPath(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && path.back() != '/') path += '/';
  return path.append(name);
}

}  // namespace fastkv
