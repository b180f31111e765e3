#include "io/safetensors.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/limits.h"
#include "io/contained_path.h"
#include "io/json.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";

struct IndexedTensor {
  std::string name;
  std::string shard;  // file name
};

// The "weight_map" of an index file.
Result<std::vector<IndexedTensor>> ReadIndex(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const Json index,
                          ReadJsonFile(files, path, limits::kMaxWeightIndexBytes));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(index, path));
  const Json* weight_map = fields.Find("weight_map");
  if (weight_map == nullptr || !weight_map->is_object() || weight_map->empty()) {
    return FormatError(path + ": field \"weight_map\": expected an object with tensor names");
  }
  if (weight_map->size() > static_cast<size_t>(limits::kMaxTensors)) {
    return LimitError(path + ": more than " + std::to_string(limits::kMaxTensors) + " tensors");
  }
  std::vector<IndexedTensor> tensors;
  tensors.reserve(weight_map->size());
  for (const auto& [name, shard] : weight_map->get_ref<const Json::object_t&>()) {
    if (!shard.is_string()) {
      return FormatError(path + ": tensor " + Quoted(name) + ": expected a file name, found " +
                         shard.type_name());
    }
    tensors.push_back({name, shard.get_ref<const std::string&>()});
  }
  return tensors;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::Open(FileSystem& files, const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  FASTKV_ASSIGN_OR_RETURN(file.mapping_, files.Map(path));
  Result<std::vector<TensorEntry>> tensors = ParseSafetensorsHeader(file.mapping_->bytes());
  if (file.damaged()) return IoError(path + ": the file changed while it was being read");
  if (!tensors.ok()) return tensors.status().WithContext(path);
  file.tensors_ = std::move(tensors).value();
  return file;
}

const TensorEntry* SafetensorsFile::Find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const TensorEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return found == tensors_.end() || found->name != name ? nullptr : &*found;
}

Result<HostTensor> SafetensorsFile::Tensor(std::string_view name) const {
  const TensorEntry* entry = Find(name);
  if (entry == nullptr) return NotFoundError(path_ + ": no tensor " + Quoted(name));
  if (!entry->dtype) {
    return UnsupportedError(path_ + ": tensor " + Quoted(name) + " has element type " +
                            entry->dtype_name + "; supported are F32, F16 and BF16");
  }
  return HostTensor{mapping_->bytes().data() + entry->offset_bytes, *entry->dtype, entry->shape};
}

Result<SafetensorsModel> SafetensorsModel::Open(FileSystem& files, const std::string& folder) {
  SafetensorsModel model;
  FASTKV_ASSIGN_OR_RETURN(const bool single, files.Exists(JoinPath(folder, kSingleFile)));
  FASTKV_ASSIGN_OR_RETURN(const bool indexed, files.Exists(JoinPath(folder, kIndexFile)));
  if (single) {
    FASTKV_ASSIGN_OR_RETURN(const std::string path, ContainedPath(files, folder, kSingleFile));
    FASTKV_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(files, path));
    model.shards_.push_back(std::move(file));
  } else if (indexed) {
    FASTKV_RETURN_IF_ERROR(model.OpenIndexed(files, folder));
  } else {
    return NotFoundError("no weights in " + folder + ": expected " + kSingleFile + " or " +
                         kIndexFile + " (other formats must be converted to safetensors)");
  }
  FASTKV_RETURN_IF_ERROR(model.MergeNames());
  return model;
}

Status SafetensorsModel::OpenIndexed(FileSystem& files, const std::string& folder) {
  FASTKV_ASSIGN_OR_RETURN(const std::string index_path, ContainedPath(files, folder, kIndexFile));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<IndexedTensor> tensors, ReadIndex(files, index_path));
  std::map<std::string, size_t> shard_indices;  // sorted, so that the order of shards is stable
  for (const IndexedTensor& tensor : tensors) shard_indices.emplace(tensor.shard, 0);
  if (shard_indices.size() > static_cast<size_t>(limits::kMaxShards)) {
    return LimitError(index_path + ": more than " + std::to_string(limits::kMaxShards) + " files");
  }
  shards_.reserve(shard_indices.size());
  for (auto& [name, shard_index] : shard_indices) {
    Result<std::string> path = ContainedPath(files, folder, name);
    if (!path.ok()) return path.status().WithContext(index_path);
    FASTKV_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(files, *path));
    shard_index = shards_.size();
    shards_.push_back(std::move(file));
  }
  for (const IndexedTensor& tensor : tensors) {
    if (shards_[shard_indices[tensor.shard]].Find(tensor.name) == nullptr) {
      return FormatError(index_path + ": the tensor " + Quoted(tensor.name) + " is not in " +
                         Quoted(tensor.shard) + ", where the index places it");
    }
  }
  return OkStatus();
}

Status SafetensorsModel::MergeNames() {
  size_t count = 0;
  for (const SafetensorsFile& shard : shards_) count += shard.tensors().size();
  if (count > static_cast<size_t>(limits::kMaxTensors)) {
    return LimitError(shards_.front().path() + " and its siblings hold more than " +
                      std::to_string(limits::kMaxTensors) + " tensors");
  }
  by_name_.reserve(count);
  for (const SafetensorsFile& shard : shards_) {
    for (const TensorEntry& entry : shard.tensors()) by_name_.push_back({&entry, &shard});
  }
  std::sort(by_name_.begin(), by_name_.end(),
            [](const Place& a, const Place& b) { return a.entry->name < b.entry->name; });
  const auto twice = std::adjacent_find(
      by_name_.begin(), by_name_.end(),
      [](const Place& a, const Place& b) { return a.entry->name == b.entry->name; });
  if (twice == by_name_.end()) return OkStatus();
  return FormatError("the tensor " + Quoted(twice->entry->name) + " is in two files, " +
                     twice->shard->path() + " and " + std::next(twice)->shard->path());
}

const SafetensorsModel::Place* SafetensorsModel::FindPlace(std::string_view name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [](const Place& place, std::string_view wanted) { return place.entry->name < wanted; });
  return found == by_name_.end() || found->entry->name != name ? nullptr : &*found;
}

const TensorEntry* SafetensorsModel::Find(std::string_view name) const {
  const Place* place = FindPlace(name);
  return place == nullptr ? nullptr : place->entry;
}

Result<HostTensor> SafetensorsModel::Tensor(std::string_view name) const {
  const Place* place = FindPlace(name);
  if (place == nullptr) return NotFoundError("the model has no tensor " + Quoted(name));
  return place->shard->Tensor(name);
}

uint64_t SafetensorsModel::size_bytes() const {
  uint64_t total = 0;
  for (const Place& place : by_name_) total += place.entry->size_bytes;
  return total;
}

Status SafetensorsModel::CheckUndamaged() const {
  for (const SafetensorsFile& shard : shards_) {
    if (shard.damaged()) {
      return IoError(shard.path() + ": the file changed while the model was in use; load it again");
    }
  }
  return OkStatus();
}

}  // namespace fastkv
