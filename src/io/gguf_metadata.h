// The keys and values at the head of a GGUF file, read from the file's bytes.
#ifndef FASTKV_IO_GGUF_METADATA_H_
#define FASTKV_IO_GGUF_METADATA_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/byte_reader.h"

namespace fastkv {

// The numbers are the file's.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// A value where it stands in the file; `bytes` holds a number, the text of a string without its
// length, or the elements of an array one after the other.
struct GgufValue {
  GgufType type = GgufType::kU8;
  std::span<const std::byte> bytes;
  // Arrays only.
  GgufType element_type = GgufType::kU8;
  uint64_t num_elements = 0;
};

// Typed access, with messages that name the key, what was expected and what came. Integers may be
// stored in any integer type, and numbers in any type of number. Views into the file's bytes: valid
// as long as those. Thread-safe once made.
class GgufMetadata {
 public:
  GgufMetadata() = default;

  // Reads `count` keys with their values. Errors: kFormat (a value of unknown type, a text or an
  // array longer than what is left, a key that is empty or occurs twice), kLimit.
  static Result<GgufMetadata> Read(ByteReader& reader, uint64_t count);

  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  // nullptr where there is no such key.
  const GgufValue* Find(std::string_view key) const;
  // Sorted.
  std::vector<std::string_view> Keys() const;

  // The value of `key`, which must be there. Errors: kFormat.
  Result<int64_t> Int(std::string_view key, int64_t min, int64_t max) const;
  // Finite numbers only.
  Result<double> Number(std::string_view key, double min, double max) const;
  Result<bool> Bool(std::string_view key) const;
  Result<std::string_view> String(std::string_view key) const;
  // Arrays with elements of the kind named. Errors: also kLimit, above `max_elements`.
  Result<std::vector<std::string_view>> Strings(std::string_view key, int64_t max_elements) const;
  Result<std::vector<int64_t>> Ints(std::string_view key, int64_t max_elements) const;
  Result<std::vector<float>> Floats(std::string_view key, int64_t max_elements) const;

  // The same, with a default for a missing key.
  Result<int64_t> IntOr(std::string_view key, int64_t otherwise, int64_t min, int64_t max) const;
  Result<double> NumberOr(std::string_view key, double otherwise, double min, double max) const;
  Result<bool> BoolOr(std::string_view key, bool otherwise) const;
  Result<std::string_view> StringOr(std::string_view key, std::string_view otherwise) const;

 private:
  struct Entry {
    std::string key;
    GgufValue value;
  };

  // The array `key`. Errors: kFormat, kLimit.
  Result<const GgufValue*> Array(std::string_view key, int64_t max_elements,
                                 std::string_view expected) const;

  std::vector<Entry> entries_;  // sorted by key
};

}  // namespace fastkv

#endif  // FASTKV_IO_GGUF_METADATA_H_
