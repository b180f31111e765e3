// Models in GGUF files, memory-mapped: one file, or several parts named NAME-00001-of-00005.gguf.
//
// Everything that the files state is checked against their real sizes when they are opened; a view
// can then be made without further checks. Objects are thread-safe once opened.
#ifndef FASTKV_IO_GGUF_H_
#define FASTKV_IO_GGUF_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/file.h"
#include "io/gguf_header.h"

namespace fastkv {

// One file, which may be a part of a model.
class GgufFile {
 public:
  // Errors: those of FileSystem::Map and ParseGgufHeader; messages name the path.
  static Result<GgufFile> Open(FileSystem& files, const std::string& path);

  const GgufMetadata& metadata() const { return header_.metadata; }
  const std::vector<GgufTensor>& tensors() const { return header_.tensors; }  // sorted by name
  // The bytes of one of tensors(); as long as this object lives.
  const std::byte* DataOf(const GgufTensor& tensor) const {
    return mapping_->bytes().data() + tensor.offset_bytes;
  }
  // Whether the file changed after it was opened, so that tensors may hold wrong values.
  bool damaged() const { return mapping_->damaged(); }
  const std::string& path() const { return path_; }

 private:
  GgufFile() = default;

  std::string path_;
  std::unique_ptr<MappedFile> mapping_;
  GgufHeader header_;
};

// All parts of a model.
class GgufFiles {
 public:
  // `path` is the file, or any one of the parts. Errors: kNotFound (names the part that is
  // missing), kFormat (also when the parts do not belong together), kLimit, and those of
  // GgufFile::Open.
  static Result<GgufFiles> Open(FileSystem& files, const std::string& path);

  // Of the first part, which describes the model.
  const GgufMetadata& metadata() const { return parts_.front().metadata(); }
  const std::string& path() const { return parts_.front().path(); }
  const std::vector<GgufFile>& parts() const { return parts_; }

  struct Place {
    const GgufTensor* tensor;
    const std::byte* data;  // tensor->size_bytes of them; as long as the GgufFiles live
  };
  // Of all parts, sorted by name; no name occurs twice.
  const std::vector<Place>& tensors() const { return by_name_; }
  // nullptr where there is no such tensor.
  const Place* Find(std::string_view name) const;
  // Bytes of all tensors together.
  uint64_t size_bytes() const;
  // kIo, naming the file, when one changed after it was opened.
  Status CheckUndamaged() const;

 private:
  GgufFiles() = default;
  // Opens the siblings of `first_opened`, which says that it is one part of several.
  Status OpenParts(FileSystem& files, GgufFile first_opened);
  Status MergeNames();

  std::vector<GgufFile> parts_;
  std::vector<Place> by_name_;  // points into parts_, whose elements stay in place
};

// The GGUF file that `path` means: a file that is one by its name or its first bytes, or the only
// GGUF model in a folder that has no safetensors weights (of a model in parts the first one). Image
// encoders ("mmproj") beside a model do not count. Empty for all else, also where nothing is.
// Errors: kInvalidArgument (several models in the folder), those of reading.
Result<std::optional<std::string>> FindGgufFile(FileSystem& files, const std::string& path);

}  // namespace fastkv

#endif  // FASTKV_IO_GGUF_H_
