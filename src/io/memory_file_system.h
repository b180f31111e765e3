// A file system in memory, for tests and fuzz targets of all parts.
#ifndef FASTKV_IO_MEMORY_FILE_SYSTEM_H_
#define FASTKV_IO_MEMORY_FILE_SYSTEM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "io/file.h"

namespace fastkv {

// Paths are keys: nothing is resolved but links set with PutLink. A path is a directory when a file
// lies below it, so that folders need not be made. A mapping holds a copy of the content,
// but must not outlive the file system, nor may an append file. Not thread-safe.
class MemoryFileSystem final : public FileSystem {
 public:
  void Put(const std::string& path, std::string content) { files_[path] = std::move(content); }
  void Remove(const std::string& path) { files_.erase(path); }
  // RealPath(path) is `target` from now on; reading `path` reads `target`.
  void PutLink(const std::string& path, std::string target) { links_[path] = std::move(target); }
  // Every mapping reports damage from now on, as if its file had been cut.
  void DamageMappings() { damaged_ = true; }

  Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes) override {
    const std::string* content = Find(path);
    if (content == nullptr) return Missing(path);
    if (content->size() > max_bytes) return LimitError("cannot read " + path + ": too large");
    return *content;
  }
  Result<std::unique_ptr<MappedFile>> Map(const std::string& path) override {
    const std::string* content = Find(path);
    if (content == nullptr) return Missing(path);
    return std::unique_ptr<MappedFile>(std::make_unique<Mapping>(*content, damaged_));
  }
  Result<bool> Exists(const std::string& path) override {
    return Find(path) != nullptr || IsFolder(path);
  }
  Result<bool> IsDirectory(const std::string& path) override { return IsFolder(path); }
  Result<std::string> RealPath(const std::string& path) override {
    const auto link = links_.find(path);
    if (link != links_.end()) return link->second;
    if (Find(path) == nullptr && !IsFolder(path)) return Missing(path);
    return path;
  }
  Status WriteFile(const std::string& path, std::string_view content) override {
    files_[path] = content;
    return OkStatus();
  }
  Result<std::unique_ptr<AppendFile>> OpenForAppend(const std::string& path) override {
    return std::unique_ptr<AppendFile>(std::make_unique<Appender>(files_[path]));
  }
  Status CreateDirectory(const std::string& path) override {
    if (Find(path) != nullptr) return NotFoundError("cannot create the folder " + path);
    return OkStatus();
  }
  Result<std::vector<std::string>> ListDirectory(const std::string& path) override {
    if (!IsFolder(path)) return Missing(path);
    const std::string prefix = path + "/";
    std::vector<std::string> names;
    for (auto file = files_.lower_bound(prefix);
         file != files_.end() && file->first.compare(0, prefix.size(), prefix) == 0; ++file) {
      const std::string below = file->first.substr(prefix.size());
      names.push_back(below.substr(0, below.find('/')));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

 private:
  class Mapping final : public MappedFile {
   public:
    Mapping(const std::string& content, const bool& damaged)
        : size_(content.size()), copy_(new std::byte[content.size()]), damaged_(damaged) {
      std::memcpy(copy_.get(), content.data(), size_);
    }
    std::span<const std::byte> bytes() const override { return {copy_.get(), size_}; }
    bool damaged() const override { return damaged_; }

   private:
    const size_t size_;
    // Of the exact size, so that a sanitizer sees the first byte read past the end.
    const std::unique_ptr<std::byte[]> copy_;
    const bool& damaged_;
  };
  class Appender final : public AppendFile {
   public:
    explicit Appender(std::string& content) : content_(content) {}
    Status Append(std::string_view bytes) override {
      content_ += bytes;
      return OkStatus();
    }
    Status Sync() override { return OkStatus(); }

   private:
    std::string& content_;
  };

  static Status Missing(const std::string& path) {
    return NotFoundError("cannot open " + path + ": No such file or directory");
  }
  const std::string* Find(const std::string& path) const {
    const auto link = links_.find(path);
    const auto file = files_.find(link == links_.end() ? path : link->second);
    return file == files_.end() ? nullptr : &file->second;
  }
  bool IsFolder(const std::string& path) const {
    const std::string prefix = path + "/";
    const auto file = files_.lower_bound(prefix);
    return file != files_.end() && file->first.compare(0, prefix.size(), prefix) == 0;
  }

  std::map<std::string, std::string> files_;
  std::map<std::string, std::string> links_;
  bool damaged_ = false;
};

}  // namespace fastkv

#endif  // FASTKV_IO_MEMORY_FILE_SYSTEM_H_
