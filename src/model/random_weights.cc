#include "model/random_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/checked_math.h"
#include "base/float16.h"
#include "base/parallel_for.h"
#include "base/random.h"
#include "tensor/random_blocks.h"

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

void RandomWeights::FillBlocks(uint64_t tensor_seed, const WeightView& matrix, void* out) const {
  const RandomBlocks blocks(matrix.type);
  const float deviation =
      1 / std::sqrt(static_cast<float>(std::max<int64_t>(1, matrix.num_columns)));
  const int64_t count = matrix.num_rows * matrix.num_columns;
  ParallelFor(num_threads_, CeilDivide(count, kChunkElements), [&](int64_t chunk, int) {
    Random random(tensor_seed + static_cast<uint64_t>(chunk));
    const int64_t begin = chunk * kChunkElements;
    blocks.Fill(deviation, std::min(kChunkElements, count - begin), random,
                static_cast<std::byte*>(out) + RowBytes(matrix.type, begin));
  });
}

Result<StoredType> RandomWeights::TypeOfMatrix(StoredType type, const std::string& name,
                                               int64_t num_columns) {
  if (type == StoredType::kBF16) return type;
  const bool is_outer = EndsWith(name, "embed_tokens.weight") || EndsWith(name, "lm_head.weight");
  if (is_outer && type != StoredType::kQ8_0) type = StoredType::kQ6K;
  if (num_columns % BlockOf(type).num_values != 0) {
    switch (type) {
      case StoredType::kQ2K:
      case StoredType::kQ3K:
        type = StoredType::kQ4_0;
        break;
      case StoredType::kQ4K:
        type = StoredType::kQ5_0;
        break;
      case StoredType::kQ5K:
        type = StoredType::kQ5_1;
        break;
      case StoredType::kQ6K:
        type = StoredType::kQ8_0;
        break;
      case StoredType::kIQ4XS:
        type = StoredType::kIQ4NL;
        break;
      default:
        break;
    }
  }
  const BlockSize block = BlockOf(type);
  if (num_columns % block.num_values != 0) {
    return InvalidArgumentError(name + " has rows of " + std::to_string(num_columns) +
                                " values, no whole number of blocks of " +
                                std::to_string(block.num_values) +
                                "; take bf16 weights (--weights auto) for this shape");
  }
  return type;
}

Result<RandomWeights::Memory> RandomWeights::MemoryOf(const std::string& name, int64_t num_bytes) {
  const auto made = tensors_.find(name);
  if (made != tensors_.end()) {
    FASTKV_CHECK_EQ(made->second.num_bytes(), num_bytes);
    return Memory{made->second.data(), false};
  }
  FASTKV_ASSIGN_OR_RETURN(Buffer buffer, Buffer::Allocate(allocator_, num_bytes, "random weights"));
  void* const data = buffer.data();
  tensors_.emplace(name, std::move(buffer));
  return Memory{data, true};
}

Result<ConstTensorView> RandomWeights::Tensor(const std::string& name,
                                              std::initializer_list<int64_t> shape) {
  FASTKV_CHECK(shape.size() == 1 || shape.size() == 2);
  const DType dtype = shape.size() == 2 ? DType::kBF16 : DType::kF32;
  int64_t num_bytes = DTypeBytes(dtype);
  for (const int64_t dim : shape) num_bytes *= dim;
  FASTKV_ASSIGN_OR_RETURN(const Memory memory, MemoryOf(name, num_bytes));
  const TensorView view(memory.data, dtype, shape);
  if (memory.is_new && dtype == DType::kBF16) {
    FillMatrix(HashOf(name) ^ seed_, view);
  } else if (memory.is_new) {
    std::fill_n(view.As<float>(), view.num_elements(), EndsWith(name, ".bias") ? 0.0F : 1.0F);
  }
  return ConstTensorView(view);
}

Result<WeightView> RandomWeights::Matrix(const std::string& name, int64_t num_rows,
                                         int64_t num_columns) {
  FASTKV_ASSIGN_OR_RETURN(const StoredType type, TypeOfMatrix(type_, name, num_columns));
  if (IsElementType(type)) return WeightSource::Matrix(name, num_rows, num_columns);
  FASTKV_ASSIGN_OR_RETURN(const Memory memory,
                          MemoryOf(name, num_rows * RowBytes(type, num_columns)));
  const WeightView matrix = PackedRows(memory.data, type, num_rows, num_columns);
  if (memory.is_new) FillBlocks(HashOf(name) ^ seed_, matrix, memory.data);
  return matrix;
}

}  // namespace fastkv
