#include "io/gguf_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "base/checked_math.h"
#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr char kMagic[] = {'G', 'G', 'U', 'F'};
// The least that a key with its value and a tensor's description take.
constexpr uint64_t kMinKeyBytes = 13;
constexpr uint64_t kMinTensorBytes = 24;
constexpr uint64_t kDefaultAlignmentBytes = 32;
constexpr uint64_t kMinAlignmentBytes = 8;
constexpr int64_t kQuantizationVersion = 2;

constexpr char kAlignmentKey[] = "general.alignment";
constexpr char kQuantizationVersionKey[] = "general.quantization_version";

struct FileType {
  uint32_t number;
  StoredType type;
};

constexpr std::array<FileType, 15> kFileTypes = {{
    {0, StoredType::kF32},
    {1, StoredType::kF16},
    {2, StoredType::kQ4_0},
    {3, StoredType::kQ4_1},
    {6, StoredType::kQ5_0},
    {7, StoredType::kQ5_1},
    {8, StoredType::kQ8_0},
    {10, StoredType::kQ2K},
    {11, StoredType::kQ3K},
    {12, StoredType::kQ4K},
    {13, StoredType::kQ5K},
    {14, StoredType::kQ6K},
    {20, StoredType::kIQ4NL},
    {23, StoredType::kIQ4XS},
    {30, StoredType::kBF16},
}};

std::optional<StoredType> TypeOfNumber(uint32_t number) {
  for (const FileType& type : kFileTypes) {
    if (type.number == number) return type.type;
  }
  return std::nullopt;
}

struct Counts {
  uint32_t version = 0;
  uint64_t num_tensors = 0;
  uint64_t num_keys = 0;
};

Result<Counts> ReadCounts(std::span<const std::byte> file, ByteReader& reader) {
  if (!LooksLikeGguf(file)) return FormatError("the file does not begin with \"GGUF\"");
  (void)reader.Take(sizeof(kMagic));
  Counts counts;
  const auto version = reader.Read<uint32_t>();
  if (!version) {
    return FormatError("the file of " + std::to_string(file.size()) +
                       " bytes is too short for GGUF");
  }
  counts.version = *version;
  if (*version != 0 && (*version & 0xFFFF) == 0) {
    return UnsupportedError("a big-endian GGUF file; convert the model for little-endian machines");
  }
  if (*version != 2 && *version != 3) {
    return UnsupportedError("GGUF version " + std::to_string(*version) +
                            " is not supported, only 2 and 3; convert the model again");
  }
  const auto num_tensors = reader.Read<uint64_t>();
  const auto num_keys = reader.Read<uint64_t>();
  if (!num_tensors || !num_keys) {
    return FormatError("the file of " + std::to_string(file.size()) +
                       " bytes is too short for GGUF");
  }
  const uint64_t left = reader.remaining_bytes();
  if (*num_keys > left / kMinKeyBytes || *num_tensors > left / kMinTensorBytes ||
      *num_keys * kMinKeyBytes + *num_tensors * kMinTensorBytes > left) {
    return FormatError("the file claims " + std::to_string(*num_tensors) + " tensors and " +
                       std::to_string(*num_keys) + " metadata keys, which cannot fit in its " +
                       std::to_string(file.size()) + " bytes; is the download complete?");
  }
  if (*num_tensors > static_cast<uint64_t>(limits::kMaxTensors)) {
    return LimitError("the file claims " + std::to_string(*num_tensors) + " tensors; at most " +
                      std::to_string(limits::kMaxTensors) + " are allowed");
  }
  counts.num_tensors = *num_tensors;
  counts.num_keys = *num_keys;
  return counts;
}

Result<uint64_t> ReadAlignment(const GgufMetadata& metadata) {
  const GgufValue* value = metadata.Find(kAlignmentKey);
  if (value == nullptr) return kDefaultAlignmentBytes;
  const auto max = static_cast<int64_t>(limits::kMaxGgufAlignmentBytes);
  if (value->type != GgufType::kU32) {
    return FormatError("key " + Quoted(kAlignmentKey) + ": expected a value of type u32");
  }
  FASTKV_ASSIGN_OR_RETURN(const int64_t alignment, metadata.Int(kAlignmentKey, 0, INT64_MAX));
  const auto bytes = static_cast<uint64_t>(alignment);
  if (!std::has_single_bit(bytes) || bytes < kMinAlignmentBytes ||
      bytes > limits::kMaxGgufAlignmentBytes) {
    return FormatError("key " + Quoted(kAlignmentKey) + ": expected a power of two from " +
                       std::to_string(kMinAlignmentBytes) + " to " + std::to_string(max) +
                       ", found " + std::to_string(alignment));
  }
  return bytes;
}

Status CutOff(const std::string& where) {
  return FormatError("the file ends within the description of " + where +
                     "; is the download complete?");
}

Status ReadShape(const std::string& where, ByteReader& reader, GgufTensor& tensor) {
  const auto num_dimensions = reader.Read<uint32_t>();
  if (!num_dimensions) return CutOff(where);
  if (*num_dimensions == 0 || *num_dimensions > limits::kMaxGgufDimensions) {
    return FormatError(where + ": expected 1 to " + std::to_string(limits::kMaxGgufDimensions) +
                       " dimensions, found " + std::to_string(*num_dimensions));
  }
  std::optional<uint64_t> num_values = 1;
  for (uint32_t i = 0; i < *num_dimensions; ++i) {
    const auto size = reader.Read<uint64_t>();
    if (!size) return CutOff(where);
    if (*size == 0 || *size > static_cast<uint64_t>(INT64_MAX)) {
      return FormatError(where + ": expected dimensions above 0, found " +
                         std::to_string(static_cast<int64_t>(*size)));
    }
    if (num_values) num_values = CheckedMultiply(*num_values, *size);
    tensor.shape.push_back(static_cast<int64_t>(*size));
  }
  if (!num_values || *num_values > static_cast<uint64_t>(INT64_MAX)) {
    return FormatError(where + ": the dimensions multiply to more than 2^63 values");
  }
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  return OkStatus();
}

Status ReadTypeAndSize(const std::string& where, ByteReader& reader, GgufTensor& tensor) {
  const auto number = reader.Read<uint32_t>();
  if (!number) return CutOff(where);
  const std::optional<StoredType> type = TypeOfNumber(*number);
  if (!type) {
    return UnsupportedError(
        where + ": the element type with number " + std::to_string(*number) +
        " is not supported; take a file in F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to "
        "Q6_K, IQ4_NL or IQ4_XS");
  }
  tensor.type = *type;
  const auto [block_values, block_bytes] = BlockOf(*type);
  if (tensor.shape.back() % block_values != 0) {
    return FormatError(where + ": a row of " + std::to_string(tensor.shape.back()) +
                       " values is no multiple of the " + std::to_string(block_values) +
                       " in a block of " + std::string(StoredTypeName(*type)));
  }
  uint64_t num_blocks = static_cast<uint64_t>(tensor.shape.back() / block_values);
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) {
    num_blocks *= static_cast<uint64_t>(tensor.shape[i]);
  }
  const auto size = CheckedMultiply(num_blocks, static_cast<uint64_t>(block_bytes));
  if (!size) return FormatError(where + ": the size in bytes is beyond 64 bits");
  tensor.size_bytes = *size;
  return OkStatus();
}

// One description, with an offset that still counts from the start of the data.
Result<GgufTensor> ReadTensor(const std::string& number, uint64_t alignment_bytes,
                              ByteReader& reader) {
  const auto name_bytes = reader.Read<uint64_t>();
  if (!name_bytes) return CutOff(number);
  if (*name_bytes == 0 || *name_bytes > limits::kMaxGgufTensorNameBytes) {
    return FormatError(number + ": expected a name of 1 to " +
                       std::to_string(limits::kMaxGgufTensorNameBytes) + " bytes, found one of " +
                       std::to_string(*name_bytes));
  }
  const auto name = reader.Take(*name_bytes);
  if (!name) return CutOff(number);
  GgufTensor tensor;
  tensor.name = TextOf(*name);
  const std::string where = "tensor " + Quoted(tensor.name);
  if (tensor.name.find('\0') != std::string::npos) {
    return FormatError(where + ": the name holds a zero character");
  }
  FASTKV_RETURN_IF_ERROR(ReadShape(where, reader, tensor));
  FASTKV_RETURN_IF_ERROR(ReadTypeAndSize(where, reader, tensor));
  const auto offset = reader.Read<uint64_t>();
  if (!offset) return CutOff(where);
  if (*offset % alignment_bytes != 0) {
    return FormatError(where + ": the offset " + std::to_string(*offset) +
                       " is no multiple of the alignment, " + std::to_string(alignment_bytes));
  }
  tensor.offset_bytes = *offset;
  return tensor;
}

// Makes the offsets count from the start of the file. Every tensor must lie in it, alone.
Status PlaceTensors(uint64_t data_start, uint64_t file_bytes, std::vector<GgufTensor>& tensors) {
  std::vector<GgufTensor*> by_offset;
  by_offset.reserve(tensors.size());
  for (GgufTensor& tensor : tensors) by_offset.push_back(&tensor);
  std::sort(by_offset.begin(), by_offset.end(), [](const GgufTensor* a, const GgufTensor* b) {
    return std::pair(a->offset_bytes, a->size_bytes) < std::pair(b->offset_bytes, b->size_bytes);
  });
  uint64_t end = data_start;
  const GgufTensor* before = nullptr;
  const GgufTensor* first_beyond = nullptr;
  for (GgufTensor* tensor : by_offset) {
    const auto begin = CheckedAdd(tensor->offset_bytes, data_start);
    const auto tensor_end = begin ? CheckedAdd(*begin, tensor->size_bytes) : std::nullopt;
    if (!tensor_end) {
      return FormatError("tensor " + Quoted(tensor->name) + ": the offset " +
                         std::to_string(tensor->offset_bytes) + " is beyond 64 bits");
    }
    if (before != nullptr && *begin < end) {
      return FormatError("the tensors " + Quoted(before->name) + " and " + Quoted(tensor->name) +
                         " overlap");
    }
    tensor->offset_bytes = *begin;
    end = *tensor_end;
    before = tensor;
    if (end > file_bytes && first_beyond == nullptr) first_beyond = tensor;
  }
  if (first_beyond == nullptr) return OkStatus();
  return FormatError("tensor " + Quoted(first_beyond->name) + " runs past the end of the file: " +
                     "expected at least " + std::to_string(end) + " bytes, found " +
                     std::to_string(file_bytes) + "; the download is incomplete, fetch it again");
}

Status CheckQuantizationVersion(const GgufHeader& header) {
  if (!header.metadata.Has(kQuantizationVersionKey)) return OkStatus();
  const auto quantised =
      std::find_if(header.tensors.begin(), header.tensors.end(),
                   [](const GgufTensor& tensor) { return BlockOf(tensor.type).num_values > 1; });
  if (quantised == header.tensors.end()) return OkStatus();
  FASTKV_ASSIGN_OR_RETURN(const int64_t version,
                          header.metadata.Int(kQuantizationVersionKey, 0, INT64_MAX));
  if (version == kQuantizationVersion) return OkStatus();
  return UnsupportedError("key " + Quoted(kQuantizationVersionKey) + ": expected " +
                          std::to_string(kQuantizationVersion) + ", found " +
                          std::to_string(version) + "; convert the model again");
}

}  // namespace

bool LooksLikeGguf(std::span<const std::byte> file) {
  return file.size() >= sizeof(kMagic) && std::memcmp(file.data(), kMagic, sizeof(kMagic)) == 0;
}

Result<GgufHeader> ParseGgufHeader(std::span<const std::byte> file) {
  ByteReader reader(file);
  FASTKV_ASSIGN_OR_RETURN(const Counts counts, ReadCounts(file, reader));
  GgufHeader header;
  header.version = counts.version;
  FASTKV_ASSIGN_OR_RETURN(header.metadata, GgufMetadata::Read(reader, counts.num_keys));
  FASTKV_ASSIGN_OR_RETURN(const uint64_t alignment, ReadAlignment(header.metadata));
  for (uint64_t i = 0; i < counts.num_tensors; ++i) {
    const std::string number =
        "tensor " + std::to_string(i + 1) + " of " + std::to_string(counts.num_tensors);
    FASTKV_ASSIGN_OR_RETURN(GgufTensor tensor, ReadTensor(number, alignment, reader));
    header.tensors.push_back(std::move(tensor));
  }
  // Cannot overflow: the position is within a file, and the alignment is small.
  const uint64_t data_start = (reader.position() + alignment - 1) / alignment * alignment;
  FASTKV_RETURN_IF_ERROR(PlaceTensors(data_start, file.size(), header.tensors));
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const GgufTensor& a, const GgufTensor& b) { return a.name < b.name; });
  const auto twice =
      std::adjacent_find(header.tensors.begin(), header.tensors.end(),
                         [](const GgufTensor& a, const GgufTensor& b) { return a.name == b.name; });
  if (twice != header.tensors.end()) {
    return FormatError("the tensor " + Quoted(twice->name) + " occurs twice");
  }
  FASTKV_RETURN_IF_ERROR(CheckQuantizationVersion(header));
  return header;
}

}  // namespace fastkv
