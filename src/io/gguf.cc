#include "io/gguf.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr std::string_view kExtension = ".gguf";
constexpr std::string_view kOf = "-of-";
constexpr size_t kPartDigits = 5;
constexpr char kPartKey[] = "split.no";
constexpr char kNumPartsKey[] = "split.count";
constexpr char kNumTensorsKey[] = "split.tensors.count";

// The pieces of NAME-00001-of-00005.gguf.
struct PartName {
  std::string name;  // with the folder before it
  int64_t part = 0;  // from 1
  int64_t num_parts = 0;
};

std::optional<int64_t> FiveDigits(std::string_view text) {
  if (text.size() != kPartDigits) return std::nullopt;
  int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

std::optional<PartName> ParsePartName(std::string_view path) {
  constexpr size_t kTailBytes = 1 + kPartDigits + kOf.size() + kPartDigits;
  if (!path.ends_with(kExtension)) return std::nullopt;
  path.remove_suffix(kExtension.size());
  if (path.size() <= kTailBytes) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kTailBytes);
  const auto part = FiveDigits(tail.substr(1, kPartDigits));
  const auto num_parts = FiveDigits(tail.substr(kTailBytes - kPartDigits));
  if (tail[0] != '-' || tail.substr(1 + kPartDigits, kOf.size()) != kOf || !part || !num_parts) {
    return std::nullopt;
  }
  return PartName{std::string(path.substr(0, path.size() - kTailBytes)), *part, *num_parts};
}

std::string PathOfPart(const std::string& name, int64_t part, int64_t num_parts) {
  char tail[64];
  std::snprintf(tail, sizeof(tail), "-%05d-of-%05d.gguf", static_cast<int>(part),
                static_cast<int>(num_parts));
  return name + tail;
}

// What a file says about its place among the parts.
struct Split {
  int64_t part = 0;  // from 0
  int64_t num_parts = 1;
};

Result<Split> SplitOf(const GgufFile& file) {
  Split split;
  const auto read = [&]() -> Status {
    FASTKV_ASSIGN_OR_RETURN(split.num_parts,
                            file.metadata().IntOr(kNumPartsKey, 1, 0, limits::kMaxShards));
    split.num_parts = std::max<int64_t>(1, split.num_parts);
    if (split.num_parts == 1) return OkStatus();
    FASTKV_ASSIGN_OR_RETURN(split.part, file.metadata().Int(kPartKey, 0, split.num_parts - 1));
    return OkStatus();
  };
  const Status status = read();
  if (!status.ok()) return status.WithContext(file.path());
  return split;
}

bool IsImageEncoder(std::string_view name) { return name.find("mmproj") != std::string_view::npos; }

// The models among the names of a folder: of those in parts the first part alone.
std::vector<std::string> ModelsAmong(const std::vector<std::string>& names) {
  std::vector<std::string> models;
  for (const std::string& name : names) {
    if (!std::string_view(name).ends_with(kExtension)) continue;
    const std::optional<PartName> part = ParsePartName(name);
    if (!part || part->part == 1) models.push_back(name);
  }
  // A folder of encoders alone keeps them: whoever opens one is told what it is.
  if (!std::all_of(models.begin(), models.end(), IsImageEncoder)) std::erase_if(models, IsImageEncoder);
  return models;
}

}  // namespace

Result<GgufFile> GgufFile::Open(FileSystem& files, const std::string& path) {
  GgufFile file;
  file.path_ = path;
  FASTKV_ASSIGN_OR_RETURN(file.mapping_, files.Map(path));
  Result<GgufHeader> header = ParseGgufHeader(file.mapping_->bytes());
  if (file.damaged()) return IoError(path + ": the file changed while it was being read");
  if (!header.ok()) return header.status().WithContext(path);
  file.header_ = std::move(header).value();
  return file;
}

Result<GgufFiles> GgufFiles::Open(FileSystem& files, const std::string& path) {
  GgufFiles model;
  FASTKV_ASSIGN_OR_RETURN(GgufFile file, GgufFile::Open(files, path));
  FASTKV_ASSIGN_OR_RETURN(const Split split, SplitOf(file));
  if (split.num_parts > 1) {
    FASTKV_RETURN_IF_ERROR(model.OpenParts(files, std::move(file)));
  } else {
    model.parts_.push_back(std::move(file));
  }
  FASTKV_RETURN_IF_ERROR(model.MergeNames());
  return model;
}

Status GgufFiles::OpenParts(FileSystem& files, GgufFile first_opened) {
  const std::string path = first_opened.path();
  FASTKV_ASSIGN_OR_RETURN(const Split split, SplitOf(first_opened));
  const std::string part_text = "part " + std::to_string(split.part + 1) + " of " +
                                std::to_string(split.num_parts) + " of a model";
  const std::optional<PartName> name = ParsePartName(path);
  if (!name || name->part != split.part + 1 || name->num_parts != split.num_parts) {
    return FormatError(path + " is " + part_text + ": expected a name that ends in " +
                       PathOfPart("", split.part + 1, split.num_parts) +
                       ", so that the other parts can be found; give it its old name back");
  }
  parts_.reserve(static_cast<size_t>(split.num_parts));
  uint64_t num_tensors = 0;
  for (int64_t part = 0; part < split.num_parts; ++part) {
    if (part == split.part) {
      parts_.push_back(std::move(first_opened));
    } else {
      const std::string sibling = PathOfPart(name->name, part + 1, split.num_parts);
      FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(sibling));
      if (!exists) {
        return NotFoundError(path + " is " + part_text + ", and " + sibling +
                             " is missing; fetch it too");
      }
      FASTKV_ASSIGN_OR_RETURN(GgufFile file, GgufFile::Open(files, sibling));
      FASTKV_ASSIGN_OR_RETURN(const Split its_split, SplitOf(file));
      if (its_split.part != part || its_split.num_parts != split.num_parts) {
        return FormatError(sibling + ": expected part " + std::to_string(part + 1) + " of " +
                           std::to_string(split.num_parts) + ", found part " +
                           std::to_string(its_split.part + 1) + " of " +
                           std::to_string(its_split.num_parts));
      }
      parts_.push_back(std::move(file));
    }
    num_tensors += parts_.back().tensors().size();
  }
  const Result<int64_t> expected =
      metadata().IntOr(kNumTensorsKey, static_cast<int64_t>(num_tensors), 0, INT64_MAX);
  if (!expected.ok()) return expected.status().WithContext(this->path());
  if (*expected != static_cast<int64_t>(num_tensors)) {
    return FormatError(this->path() + ": key " + Quoted(kNumTensorsKey) + " is " +
                       std::to_string(*expected) + ", but the parts hold " +
                       std::to_string(num_tensors) + " tensors");
  }
  return OkStatus();
}

Status GgufFiles::MergeNames() {
  size_t count = 0;
  for (const GgufFile& part : parts_) count += part.tensors().size();
  if (count > static_cast<size_t>(limits::kMaxTensors)) {
    return LimitError(path() + " and its siblings hold more than " +
                      std::to_string(limits::kMaxTensors) + " tensors");
  }
  by_name_.reserve(count);
  for (const GgufFile& part : parts_) {
    for (const GgufTensor& tensor : part.tensors()) {
      by_name_.push_back({&tensor, part.DataOf(tensor)});
    }
  }
  std::sort(by_name_.begin(), by_name_.end(),
            [](const Place& a, const Place& b) { return a.tensor->name < b.tensor->name; });
  const auto twice = std::adjacent_find(
      by_name_.begin(), by_name_.end(),
      [](const Place& a, const Place& b) { return a.tensor->name == b.tensor->name; });
  if (twice == by_name_.end()) return OkStatus();
  return FormatError(path() + ": the tensor " + Quoted(twice->tensor->name) +
                     " is in two parts of the model");
}

const GgufFiles::Place* GgufFiles::Find(std::string_view name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [](const Place& place, std::string_view wanted) { return place.tensor->name < wanted; });
  return found == by_name_.end() || found->tensor->name != name ? nullptr : &*found;
}

uint64_t GgufFiles::size_bytes() const {
  uint64_t total = 0;
  for (const Place& place : by_name_) total += place.tensor->size_bytes;
  return total;
}

Status GgufFiles::CheckUndamaged() const {
  for (const GgufFile& part : parts_) {
    if (part.damaged()) {
      return IoError(part.path() + ": the file changed while the model was in use; load it again");
    }
  }
  return OkStatus();
}

Result<std::optional<std::string>> FindGgufFile(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const bool is_folder, files.IsDirectory(path));
  if (!is_folder) {
    if (std::string_view(path).ends_with(kExtension)) return std::optional(path);
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
    if (!exists) return std::optional<std::string>();
    FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> file, files.Map(path));
    return LooksLikeGguf(file->bytes()) ? std::optional(path) : std::nullopt;
  }
  for (const char* weights : {"model.safetensors", "model.safetensors.index.json"}) {
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(JoinPath(path, weights)));
    if (exists) return std::optional<std::string>();
  }
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.ListDirectory(path));
  const std::vector<std::string> models = ModelsAmong(names);
  if (models.empty()) return std::optional<std::string>();
  if (models.size() == 1) return std::optional(JoinPath(path, models[0]));
  return InvalidArgumentError(path + " holds " + std::to_string(models.size()) +
                              " GGUF models, among them " + Quoted(models[0]) + " and " +
                              Quoted(models[1]) + "; give the path of one of them");
}

}  // namespace fastkv
