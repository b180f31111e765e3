// GGUF files made in memory, for tests and fuzz targets.
#ifndef FASTKV_IO_GGUF_BYTES_H_
#define FASTKV_IO_GGUF_BYTES_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fastkv {

// Writes keys and tensors in the order in which they are added; nothing is checked.
class GgufBytes {
 public:
  explicit GgufBytes(uint32_t version = 3) : version_(version) {}

  // Little-endian bytes of a number.
  template <typename T>
  static std::string Raw(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string Text(std::string_view text) {
    return Raw(static_cast<uint64_t>(text.size())).append(text);
  }

  // `type` as the file numbers it, `value` as the file holds it.
  GgufBytes& Key(std::string_view key, uint32_t type, const std::string& value) {
    keys_ += Text(key) + Raw(type) + value;
    ++num_keys_;
    return *this;
  }
  GgufBytes& U32(std::string_view key, uint32_t value) { return Key(key, 4, Raw(value)); }
  GgufBytes& F32(std::string_view key, float value) { return Key(key, 6, Raw(value)); }
  GgufBytes& Bool(std::string_view key, bool value) {
    return Key(key, 7, Raw(static_cast<uint8_t>(value)));
  }
  GgufBytes& String(std::string_view key, std::string_view value) {
    return Key(key, 8, Text(value));
  }
  GgufBytes& Strings(std::string_view key, const std::vector<std::string>& values) {
    std::string elements;
    for (const std::string& value : values) elements += Text(value);
    return Array(key, 8, values.size(), elements);
  }
  GgufBytes& Floats(std::string_view key, const std::vector<float>& values) {
    std::string elements;
    for (const float value : values) elements += Raw(value);
    return Array(key, 6, values.size(), elements);
  }
  GgufBytes& Ints(std::string_view key, const std::vector<int32_t>& values) {
    std::string elements;
    for (const int32_t value : values) elements += Raw(value);
    return Array(key, 5, values.size(), elements);
  }
  GgufBytes& Array(std::string_view key, uint32_t element_type, uint64_t count,
                   const std::string& elements) {
    return Key(key, 9, Raw(element_type) + Raw(count) + elements);
  }

  // `shape` with the slowest dimension first, `type` as the file numbers it.
  GgufBytes& Tensor(std::string_view name, const std::vector<int64_t>& shape, uint32_t type,
                    std::string_view data) {
    data_.resize((data_.size() + kAlignment - 1) / kAlignment * kAlignment);
    return TensorAt(name, shape, type, data_.size(), data);
  }
  // The same, claiming another place for the data.
  GgufBytes& TensorAt(std::string_view name, const std::vector<int64_t>& shape, uint32_t type,
                      uint64_t offset, std::string_view data) {
    infos_ += Text(name) + Raw(static_cast<uint32_t>(shape.size()));
    for (size_t i = shape.size(); i-- > 0;) infos_ += Raw(shape[i]);
    infos_ += Raw(type) + Raw(offset);
    data_ += data;
    ++num_tensors_;
    return *this;
  }

  std::string Build() const {
    std::string file = "GGUF" + Raw(version_) + Raw(num_tensors_) + Raw(num_keys_) + keys_ + infos_;
    file.resize((file.size() + kAlignment - 1) / kAlignment * kAlignment);
    return file + data_;
  }

 private:
  static constexpr size_t kAlignment = 32;

  uint32_t version_;
  uint64_t num_keys_ = 0;
  uint64_t num_tensors_ = 0;
  std::string keys_;
  std::string infos_;
  std::string data_;
};

}  // namespace fastkv

#endif  // FASTKV_IO_GGUF_BYTES_H_
