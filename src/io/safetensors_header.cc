#include "io/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/checked_math.h"
#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr uint64_t kLengthBytes = 8;
// One string or number of a header; far above any name, for the free text in "__metadata__".
constexpr uint64_t kMaxTokenBytes = 4ull << 20;
// All names of a header together.
constexpr uint64_t kMaxNameBytes = 16ull << 20;

struct FileDType {
  std::string_view name;
  uint64_t bits;  // of one element
  std::optional<DType> dtype;
};

constexpr std::array<FileDType, 21> kFileDTypes = {{
    {"F32", 32, DType::kF32},     {"BF16", 16, DType::kBF16},   {"F16", 16, DType::kF16},
    {"F64", 64, std::nullopt},    {"I64", 64, std::nullopt},    {"I32", 32, std::nullopt},
    {"I16", 16, std::nullopt},    {"I8", 8, std::nullopt},      {"U64", 64, std::nullopt},
    {"U32", 32, std::nullopt},    {"U16", 16, std::nullopt},    {"U8", 8, std::nullopt},
    {"BOOL", 8, std::nullopt},    {"F8_E4M3", 8, std::nullopt}, {"F8_E5M2", 8, std::nullopt},
    {"F8_E8M0", 8, std::nullopt}, {"F6_E2M3", 6, std::nullopt}, {"F6_E3M2", 6, std::nullopt},
    {"F4", 4, std::nullopt},      {"C64", 64, std::nullopt},    {"F8_E4M3FNUZ", 8, std::nullopt},
}};

const FileDType* FindDType(std::string_view name) {
  const auto* found = std::find_if(kFileDTypes.begin(), kFileDTypes.end(),
                                   [&](const FileDType& dtype) { return dtype.name == name; });
  return found == kFileDTypes.end() ? nullptr : found;
}

// Takes the header's parse events straight into entries, without a tree between: a tree of hostile
// JSON can be many times larger than its text.
class HeaderReader {
 public:
  using Traits = nlohmann::json;
  using number_integer_t = Traits::number_integer_t;
  using number_unsigned_t = Traits::number_unsigned_t;
  using number_float_t = Traits::number_float_t;
  using string_t = Traits::string_t;
  using binary_t = Traits::binary_t;

  bool null() { return Unexpected("null"); }
  bool boolean(bool /*value*/) { return Unexpected("true or false"); }
  bool number_integer(number_integer_t /*value*/) { return Unexpected("a negative number"); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) {
    return Unexpected("a fraction");
  }
  bool binary(binary_t& /*value*/) { return Unexpected("a binary value"); }

  bool number_unsigned(number_unsigned_t value) {
    if (state_ == State::kShape) {
      if (entry_.shape.size() >= static_cast<size_t>(limits::kMaxTensorRank)) {
        return Refuse(LimitError(Where() + ": more than " + std::to_string(limits::kMaxTensorRank) +
                                 " dimensions"));
      }
      if (value > static_cast<uint64_t>(INT64_MAX)) {
        return Refuse(
            FormatError(Where() + ": dimension " + std::to_string(value) + " is too large"));
      }
      entry_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (state_ == State::kOffsets && num_offsets_ < offsets_.size()) {
      offsets_[num_offsets_++] = value;
      return true;
    }
    return Unexpected("a number");
  }

  bool string(string_t& value) {
    if (state_ == State::kMetadata) return true;
    if (state_ != State::kTensor || field_ != kDTypeField) return Unexpected("a string");
    dtype_ = FindDType(value);
    if (dtype_ == nullptr) {
      return Refuse(FormatError(Where() + ": unknown element type " + Quoted(value)));
    }
    return true;
  }

  bool start_object(size_t /*num_members*/) {
    if (state_ == State::kStart) {
      state_ = State::kTop;
      return true;
    }
    if (state_ != State::kTop) return Unexpected("an object");
    state_ = in_metadata_ ? State::kMetadata : State::kTensor;
    return true;
  }

  bool start_array(size_t /*num_elements*/) {
    if (state_ == State::kTensor && field_ == kShapeField) {
      state_ = State::kShape;
      return true;
    }
    if (state_ == State::kTensor && field_ == kOffsetsField) {
      state_ = State::kOffsets;
      return true;
    }
    return Unexpected("an array");
  }

  bool key(string_t& name) {
    switch (state_) {
      case State::kTop:
        return StartMember(name);
      case State::kMetadata:
        if (!CountName(name)) return false;
        metadata_names_.push_back(std::move(name));
        return true;
      default:
        return StartField(name);
    }
  }

  bool end_array() {
    if (state_ == State::kOffsets && num_offsets_ != offsets_.size()) {
      return Refuse(FormatError(Where() + ": data_offsets must hold two numbers"));
    }
    state_ = State::kTensor;
    return true;
  }

  bool end_object() {
    switch (state_) {
      case State::kTensor:
        return FinishTensor();
      case State::kMetadata:
        return FinishMetadata();
      default:
        return true;
    }
  }

  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::detail::exception& /*error*/) {
    return Refuse(FormatError("invalid JSON in the header at byte " +
                              std::to_string(kLengthBytes + position) + " of the file, near " +
                              Quoted(last_token)));
  }

  const Status& status() const { return status_; }
  // With offsets that still count from the start of the data.
  std::vector<TensorEntry> TakeEntries() { return std::move(entries_); }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };
  enum Field : unsigned { kNoField = 0, kDTypeField = 1, kShapeField = 2, kOffsetsField = 4 };
  static constexpr unsigned kAllFields = kDTypeField | kShapeField | kOffsetsField;

  bool Refuse(Status status) {
    status_ = std::move(status);
    return false;
  }
  std::string Where() const {
    if (state_ == State::kStart) return "the header";
    if (in_metadata_) return "\"__metadata__\"";
    return "tensor " + Quoted(entry_.name);
  }
  bool Unexpected(const std::string& what) {
    return Refuse(FormatError(Where() + ": found " + what + " where none may stand"));
  }

  bool CountName(const string_t& name) {
    name_bytes_ += name.size();
    if (++num_names_ <= limits::kMaxTensors && name_bytes_ <= kMaxNameBytes) return true;
    return Refuse(LimitError("the header holds more than " + std::to_string(limits::kMaxTensors) +
                             " names, or more than " + std::to_string(kMaxNameBytes) +
                             " bytes of names"));
  }

  bool StartMember(string_t& name) {
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) {
      if (std::exchange(seen_metadata_, true)) {
        return Refuse(FormatError("the key \"__metadata__\" occurs twice"));
      }
      return true;
    }
    if (!CountName(name)) return false;
    if (name.empty() || name.find('\0') != std::string::npos) {
      return Refuse(
          FormatError("the tensor name " + Quoted(name) + " is empty or holds a zero character"));
    }
    entry_ = {};
    entry_.name = std::move(name);
    seen_fields_ = 0;
    num_offsets_ = 0;
    return true;
  }

  bool StartField(const string_t& name) {
    field_ = name == "dtype"          ? kDTypeField
             : name == "shape"        ? kShapeField
             : name == "data_offsets" ? kOffsetsField
                                      : kNoField;
    if (field_ == kNoField) {
      return Refuse(FormatError(Where() + ": unknown field " + Quoted(name)));
    }
    if ((seen_fields_ & field_) != 0) {
      return Refuse(FormatError(Where() + ": the field " + Quoted(name) + " occurs twice"));
    }
    seen_fields_ |= field_;
    return true;
  }

  bool FinishMetadata() {
    std::sort(metadata_names_.begin(), metadata_names_.end());
    const auto twice = std::adjacent_find(metadata_names_.begin(), metadata_names_.end());
    if (twice != metadata_names_.end()) {
      return Refuse(FormatError(Where() + ": the key " + Quoted(*twice) + " occurs twice"));
    }
    state_ = State::kTop;
    return true;
  }

  bool FinishTensor() {
    if (seen_fields_ != kAllFields) {
      return Refuse(FormatError(Where() + ": expected the fields dtype, shape and data_offsets"));
    }
    std::optional<uint64_t> bits = dtype_->bits;
    for (int64_t dim : entry_.shape) {
      bits = CheckedMultiply(*bits, static_cast<uint64_t>(dim));
      if (!bits) return Refuse(FormatError(Where() + ": the shape is too large"));
    }
    const auto [begin, end] = offsets_;
    if (begin > end) {
      return Refuse(FormatError(Where() + ": data_offsets run backwards, from " +
                                std::to_string(begin) + " to " + std::to_string(end)));
    }
    if (*bits % 8 != 0 || *bits / 8 != end - begin) {
      return Refuse(FormatError(Where() + ": data_offsets span " + std::to_string(end - begin) +
                                " bytes, but dtype and shape need " + std::to_string(*bits / 8)));
    }
    entry_.dtype_name = dtype_->name;
    entry_.dtype = dtype_->dtype;
    entry_.offset_bytes = begin;
    entry_.size_bytes = end - begin;
    entries_.push_back(std::move(entry_));
    state_ = State::kTop;
    return true;
  }

  State state_ = State::kStart;
  bool in_metadata_ = false;
  bool seen_metadata_ = false;
  int64_t num_names_ = 0;
  uint64_t name_bytes_ = 0;
  std::vector<std::string> metadata_names_;

  // The tensor being read.
  TensorEntry entry_;
  Field field_ = kNoField;
  unsigned seen_fields_ = 0;
  const FileDType* dtype_ = nullptr;
  std::array<uint64_t, 2> offsets_ = {};
  size_t num_offsets_ = 0;

  std::vector<TensorEntry> entries_;
  Status status_;
};

// The parser keeps the text of the token it reads, several times over; so tokens must be short
// before it may see them.
Status CheckTokenLengths(std::string_view header) {
  bool in_string = false;
  bool escaped = false;
  uint64_t num_bytes = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    const char c = header[i];
    if (c == '\0') {
      return FormatError("invalid JSON in the header at byte " + std::to_string(kLengthBytes + i) +
                         " of the file: a zero byte");
    }
    const bool boundary = in_string ? c == '"' && !escaped
                                    : c == '"' || c == ',' || c == ':' || c == '{' || c == '}' ||
                                          c == '[' || c == ']';
    escaped = in_string && c == '\\' && !escaped;
    if (boundary && c == '"') in_string = !in_string;
    num_bytes = boundary ? 0 : num_bytes + 1;
    if (num_bytes > kMaxTokenBytes) {
      return LimitError("the header holds a string, number or gap of more than " +
                        std::to_string(kMaxTokenBytes) + " bytes before byte " +
                        std::to_string(kLengthBytes + i) + " of the file");
    }
  }
  return OkStatus();
}

// Checks that the tensors cover the data from its first byte to its last, each byte once.
Status CheckLayout(const std::vector<TensorEntry>& entries, uint64_t data_bytes) {
  std::vector<const TensorEntry*> by_offset;
  by_offset.reserve(entries.size());
  for (const TensorEntry& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->offset_bytes, a->size_bytes) < std::pair(b->offset_bytes, b->size_bytes);
  });
  uint64_t covered_bytes = 0;
  for (const TensorEntry* entry : by_offset) {
    if (entry->offset_bytes != covered_bytes) {
      return FormatError("tensor " + Quoted(entry->name) + ": data_offsets begin at " +
                         std::to_string(entry->offset_bytes) +
                         ", which leaves a gap or overlaps: " + "expected " +
                         std::to_string(covered_bytes));
    }
    // Cannot overflow: the end was read as a number of 64 bits.
    covered_bytes += entry->size_bytes;
    if (covered_bytes > data_bytes) {
      return FormatError("tensor " + Quoted(entry->name) + ": data_offsets end at " +
                         std::to_string(covered_bytes) + ", but the file holds only " +
                         std::to_string(data_bytes) + " bytes of data; is it complete?");
    }
  }
  if (covered_bytes != data_bytes) {
    return FormatError("the tensors end at byte " + std::to_string(covered_bytes) +
                       " of the data, but the file holds " + std::to_string(data_bytes) +
                       " bytes of data");
  }
  return OkStatus();
}

}  // namespace

Result<std::vector<TensorEntry>> ParseSafetensorsHeader(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    return FormatError("the file of " + std::to_string(file.size()) +
                       " bytes is too short for safetensors");
  }
  uint64_t header_bytes = 0;
  for (uint64_t i = 0; i < kLengthBytes; ++i) {
    header_bytes |= static_cast<uint64_t>(file[i]) << (8 * i);
  }
  const uint64_t remaining_bytes = file.size() - kLengthBytes;
  if (header_bytes == 0 || header_bytes > remaining_bytes) {
    return FormatError("the header's length is " + std::to_string(header_bytes) +
                       ", expected 1 to " + std::to_string(remaining_bytes) +
                       " bytes; the file is no safetensors file or is incomplete");
  }
  if (header_bytes > limits::kMaxSafetensorsHeaderBytes) {
    return LimitError("the header of " + std::to_string(header_bytes) +
                      " bytes is larger than the " +
                      std::to_string(limits::kMaxSafetensorsHeaderBytes) + " allowed");
  }
  const std::string_view header(reinterpret_cast<const char*>(file.data() + kLengthBytes),
                                header_bytes);
  if (header.front() != '{') return FormatError("the header does not begin with '{'");
  FASTKV_RETURN_IF_ERROR(CheckTokenLengths(header));

  HeaderReader reader;
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) return reader.status();
  std::vector<TensorEntry> entries = reader.TakeEntries();
  FASTKV_RETURN_IF_ERROR(CheckLayout(entries, remaining_bytes - header_bytes));
  for (TensorEntry& entry : entries) entry.offset_bytes += kLengthBytes + header_bytes;

  std::sort(entries.begin(), entries.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(
      entries.begin(), entries.end(),
      [](const TensorEntry& a, const TensorEntry& b) { return a.name == b.name; });
  if (twice != entries.end()) {
    return FormatError("the tensor " + Quoted(twice->name) + " occurs twice in the header");
  }
  return entries;
}

}  // namespace fastkv
