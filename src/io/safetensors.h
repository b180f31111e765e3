// Model weights in safetensors files, memory-mapped: one file, or a folder of one or several.
//
// Everything that the files state is checked against their real sizes when they are opened; a view
// can then be made without further checks. Objects are thread-safe once opened.
#ifndef FASTKV_IO_SAFETENSORS_H_
#define FASTKV_IO_SAFETENSORS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/safetensors_header.h"

namespace fastkv {

class SafetensorsFile {
 public:
  // Errors: those of FileSystem::Map and ParseSafetensorsHeader; messages name the path.
  static Result<SafetensorsFile> Open(FileSystem& files, const std::string& path);

  // Sorted by name.
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  // nullptr when there is no such tensor.
  const TensorEntry* Find(std::string_view name) const;
  // A view into the mapping, valid for as long as this object.
  // Errors: kNotFound, kUnsupported (an element type that fastkv does not compute with).
  Result<HostTensor> Tensor(std::string_view name) const;
  // Whether the file changed after it was opened, so that tensors may hold wrong values.
  bool damaged() const { return mapping_->damaged(); }
  const std::string& path() const { return path_; }

 private:
  SafetensorsFile() = default;

  std::string path_;
  std::unique_ptr<MappedFile> mapping_;
  std::vector<TensorEntry> tensors_;
};

// The weights of a model folder: model.safetensors, or the files named by
// model.safetensors.index.json.
class SafetensorsModel {
 public:
  // Errors: kNotFound (no weights, a file missing or outside the folder), kFormat (also when index
  // and files disagree), kLimit, and those of SafetensorsFile::Open.
  static Result<SafetensorsModel> Open(FileSystem& files, const std::string& folder);

  // In the order of the shards, each sorted by name. No name occurs twice.
  const std::vector<SafetensorsFile>& shards() const { return shards_; }
  // nullptr when there is no such tensor.
  const TensorEntry* Find(std::string_view name) const;
  // A view, valid for as long as this object. Errors: as SafetensorsFile::Tensor.
  Result<HostTensor> Tensor(std::string_view name) const;
  int64_t num_tensors() const { return static_cast<int64_t>(by_name_.size()); }
  // Bytes of all tensors together.
  uint64_t size_bytes() const;
  // kIo, naming the file, when one changed after it was opened.
  Status CheckUndamaged() const;

 private:
  struct Place {
    const TensorEntry* entry;
    const SafetensorsFile* shard;
  };

  SafetensorsModel() = default;
  Status OpenIndexed(FileSystem& files, const std::string& folder);
  // Fills by_name_; fails when a name occurs in two shards or when there are too many.
  Status MergeNames();
  const Place* FindPlace(std::string_view name) const;

  std::vector<SafetensorsFile> shards_;
  std::vector<Place> by_name_;  // sorted by name; points into shards_, whose elements stay in place
};

}  // namespace fastkv

#endif  // FASTKV_IO_SAFETENSORS_H_
