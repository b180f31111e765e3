// Numbers and texts out of a binary file, one after the other, never past its end.
#ifndef FASTKV_IO_BYTE_READER_H_
#define FASTKV_IO_BYTE_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace fastkv {

// Bytes as text. The view lives as long as they do.
inline std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Little-endian, without padding between fields. Does not own the bytes. Not thread-safe.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t position() const { return position_; }
  uint64_t remaining_bytes() const { return bytes_.size() - position_; }

  // Nothing where fewer bytes than that are left; then nothing is consumed.
  std::optional<std::span<const std::byte>> Take(uint64_t num_bytes) {
    if (num_bytes > remaining_bytes()) return std::nullopt;
    const auto taken = bytes_.subspan(position_, num_bytes);
    position_ += num_bytes;
    return taken;
  }

  // A number of T's size. Nothing as for Take.
  template <typename T>
  std::optional<T> Read() {
    const auto bytes = Take(sizeof(T));
    if (!bytes) return std::nullopt;
    T value;
    std::memcpy(&value, bytes->data(), sizeof(T));
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_IO_BYTE_READER_H_
