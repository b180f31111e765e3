#include "tensor/random_blocks.h"

#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/float16.h"
#include "tensor/block_formats.h"

namespace fastkv {
namespace {

// The offset of a block in units of its scale, such that uniform integers have mean 0.
float OffsetOf(StoredType type) {
  switch (type) {
    case StoredType::kQ4_1:
      return -7.5F;
    case StoredType::kQ5_1:
      return -15.5F;
    case StoredType::kQ2K:  // these are subtracted
      return 1.5F;
    case StoredType::kQ4K:
      return 7.5F;
    case StoredType::kQ5K:
      return 15.5F;
    default:
      return 0;
  }
}

void FillBlocks(StoredType type, float scale, int64_t num_values, Random& random, void* out) {
  const int64_t num_bytes = RowBytes(type, num_values);
  auto* const bytes = static_cast<unsigned char*>(out);
  for (int64_t i = 0; i < num_bytes; i += 8) {
    const uint64_t word = random.NextUint64();
    std::memcpy(bytes + i, &word, static_cast<size_t>(num_bytes - i < 8 ? num_bytes - i : 8));
  }
  const BlockSize size = BlockOf(type);
  const uint16_t halves[2] = {ToFloat16(scale).bits, ToFloat16(scale * OffsetOf(type)).bits};
  const std::span<const int> places = BlockHalves(type);
  for (int64_t block = 0; block < num_bytes; block += size.num_bytes) {
    for (size_t i = 0; i < places.size(); ++i) {
      std::memcpy(bytes + block + places[i], &halves[i], sizeof(halves[i]));
    }
  }
}

}  // namespace

RandomBlocks::RandomBlocks(StoredType type) : type_(type) {
  FASTKV_CHECK(!IsElementType(type));
  constexpr int64_t kSample = int64_t{1} << 16;  // 2048 scales at least: within 2 %
  std::vector<unsigned char> blocks(static_cast<size_t>(RowBytes(type, kSample)));
  std::vector<double> values(kSample);
  Random random(1);
  FillBlocks(type, 1, kSample, random, blocks.data());
  DecodeRow(type, blocks.data(), kSample, values.data());
  double squares = 0;
  for (const double value : values) squares += value * value;
  unit_deviation_ = static_cast<float>(std::sqrt(squares / kSample));
}

void RandomBlocks::Fill(float deviation, int64_t num_values, Random& random, void* out) const {
  FillBlocks(type_, deviation / unit_deviation_, num_values, random, out);
}

}  // namespace fastkv
