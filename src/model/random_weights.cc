#include "model/random_weights.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/checked_math.h"
#include "base/float16.h"
#include "base/parallel_for.h"
#include "base/random.h"

namespace fastkv {
namespace {

// Elements that one task makes from one generator.
constexpr int64_t kChunkElements = int64_t{1} << 16;
// The sum of four uniform bytes: mean 4 * 255 / 2, variance 4 * (256^2 - 1) / 12.
constexpr float kSumMean = 510;
constexpr float kSumDeviation = 147.8F;

// FNV-1a.
uint64_t HashOf(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

// Two sums of four random bytes, one in each half: near enough to a bell, and a fraction of the
// time that logarithms and cosines take.
uint64_t TwoByteSums(uint64_t word) {
  constexpr uint64_t kBytes = 0x00ff00ff00ff00ffull;
  constexpr uint64_t kWords = 0x0000ffff0000ffffull;
  const uint64_t pairs = (word & kBytes) + ((word >> 8) & kBytes);
  return (pairs & kWords) + ((pairs >> 16) & kWords);
}

bool EndsWith(const std::string& text, std::string_view ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

}  // namespace

void RandomWeights::FillMatrix(uint64_t tensor_seed, TensorView matrix) const {
  auto* const out = matrix.As<BFloat16>();
  const int64_t count = matrix.num_elements();
  const float scale =
      1 / (kSumDeviation * std::sqrt(static_cast<float>(std::max<int64_t>(1, matrix.dim(1)))));
  ParallelFor(num_threads_, CeilDivide(count, kChunkElements), [&](int64_t chunk, int) {
    Random random(tensor_seed + static_cast<uint64_t>(chunk));
    const int64_t end = std::min(count, (chunk + 1) * kChunkElements);
    for (int64_t i = chunk * kChunkElements; i < end; i += 2) {
      const uint64_t sums = TwoByteSums(random.NextUint64());
      out[i] = ToBFloat16((static_cast<float>(sums & 0xffffu) - kSumMean) * scale);
      if (i + 1 < end) {
        out[i + 1] = ToBFloat16((static_cast<float>(sums >> 32) - kSumMean) * scale);
      }
    }
  });
}

Result<ConstTensorView> RandomWeights::Tensor(const std::string& name,
                                              std::initializer_list<int64_t> shape) {
  FASTKV_CHECK(shape.size() == 1 || shape.size() == 2);
  const DType dtype = shape.size() == 2 ? DType::kBF16 : DType::kF32;
  int64_t num_bytes = DTypeBytes(dtype);
  for (const int64_t dim : shape) num_bytes *= dim;
  const auto made = tensors_.find(name);
  if (made != tensors_.end()) {
    FASTKV_CHECK_EQ(made->second.num_bytes(), num_bytes);
    return ConstTensorView(made->second.data(), dtype, shape);
  }
  FASTKV_ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(allocator_, num_bytes, "random weights"));
  const TensorView view = buffer.View(dtype, shape);
  if (dtype == DType::kBF16) {
    FillMatrix(HashOf(name) ^ seed_, view);
  } else {
    std::fill_n(view.As<float>(), view.num_elements(), EndsWith(name, ".bias") ? 0.0F : 1.0F);
  }
  tensors_.emplace(name, std::move(buffer));
  return ConstTensorView(view);
}

}  // namespace fastkv
