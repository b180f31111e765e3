#include "tensor/block_formats.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/float16.h"

namespace fastkv {
namespace {

using Byte = unsigned char;

uint32_t LoadUint16(const Byte* p) { return static_cast<uint32_t>(p[0] | p[1] << 8); }
float LoadHalf(const Byte* p) { return ToFloat(Float16{static_cast<uint16_t>(LoadUint16(p))}); }
int Low(Byte byte) { return byte & 15; }
int High(Byte byte) { return byte >> 4; }

// A format: the block's fields, and Decode, which writes the block's values. kHalves lists where
// its scale and offset stand.

struct Q4_0 {
  static constexpr int kHalves[] = {0};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Real d = LoadHalf(block);
    const Byte* quants = block + 2;
    for (int j = 0; j < 16; ++j) {
      out[j] = d * static_cast<Real>(Low(quants[j]) - 8);
      out[j + 16] = d * static_cast<Real>(High(quants[j]) - 8);
    }
  }
};

struct Q4_1 {
  static constexpr int kHalves[] = {0, 2};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Real d = LoadHalf(block);
    const Real m = LoadHalf(block + 2);
    const Byte* quants = block + 4;
    for (int j = 0; j < 16; ++j) {
      out[j] = d * static_cast<Real>(Low(quants[j])) + m;
      out[j + 16] = d * static_cast<Real>(High(quants[j])) + m;
    }
  }
};

// Value j of four bits in `quants` and a fifth in bit j of the four bytes `high_bits`.
int FiveBits(const Byte* quants, const Byte* high_bits, int j) {
  const int low = j < 16 ? Low(quants[j]) : High(quants[j - 16]);
  return low + 16 * (high_bits[j / 8] >> j % 8 & 1);
}

struct Q5_0 {
  static constexpr int kHalves[] = {0};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Real d = LoadHalf(block);
    for (int j = 0; j < 32; ++j) {
      out[j] = d * static_cast<Real>(FiveBits(block + 6, block + 2, j) - 16);
    }
  }
};

struct Q5_1 {
  static constexpr int kHalves[] = {0, 2};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Real d = LoadHalf(block);
    const Real m = LoadHalf(block + 2);
    for (int j = 0; j < 32; ++j) {
      out[j] = d * static_cast<Real>(FiveBits(block + 8, block + 4, j)) + m;
    }
  }
};

struct Q8_0 {
  static constexpr int kHalves[] = {0};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Real d = LoadHalf(block);
    for (int j = 0; j < 32; ++j) {
      out[j] = d * static_cast<Real>(static_cast<int8_t>(block[2 + j]));
    }
  }
};

struct IQ4NL {
  static constexpr int kHalves[] = {0};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Real d = LoadHalf(block);
    const Byte* quants = block + 2;
    for (int j = 0; j < 16; ++j) {
      out[j] = d * static_cast<Real>(kNonLinearIntegers[Low(quants[j])]);
      out[j + 16] = d * static_cast<Real>(kNonLinearIntegers[High(quants[j])]);
    }
  }
};

// Value j of two bits: 128 values in each 32 bytes, 32 at each of the four shifts.
int TwoBits(const Byte* quants, int j) {
  return quants[j / 128 * 32 + j % 32] >> j % 128 / 32 * 2 & 3;
}

struct Q2K {
  static constexpr int kHalves[] = {80, 82};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Byte* scales = block;
    const Byte* quants = block + 16;
    const Real d = LoadHalf(block + 80);
    const Real dmin = LoadHalf(block + 82);
    for (int group = 0; group < 16; ++group) {
      const Real scale = d * static_cast<Real>(Low(scales[group]));
      const Real offset = dmin * static_cast<Real>(High(scales[group]));
      for (int j = 16 * group; j < 16 * group + 16; ++j) {
        out[j] = scale * static_cast<Real>(TwoBits(quants, j)) - offset;
      }
    }
  }
};

struct Q3K {
  static constexpr int kHalves[] = {108};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Byte* high_bits = block;
    const Byte* quants = block + 32;
    const Byte* scales = block + 96;
    const Real d = LoadHalf(block + 108);
    for (int group = 0; group < 16; ++group) {
      const int low = group < 8 ? Low(scales[group]) : High(scales[group - 8]);
      const int high = scales[8 + group % 4] >> group / 4 * 2 & 3;
      const Real scale = d * static_cast<Real>(low + 16 * high - 32);
      for (int j = 16 * group; j < 16 * group + 16; ++j) {
        const int bit = high_bits[j % 32] >> j / 32 & 1;
        out[j] = scale * static_cast<Real>(TwoBits(quants, j) - 4 + 4 * bit);
      }
    }
  }
};

// Scale and offset of group 0 .. 7, six bits each, of the twelve bytes that Q4_K and Q5_K have.
struct GroupFactors {
  int scale, offset;
};
GroupFactors SixBits(const Byte* bytes, int group) {
  if (group < 4) return {bytes[group] & 63, bytes[group + 4] & 63};
  return {Low(bytes[group + 4]) + 16 * (bytes[group - 4] >> 6),
          High(bytes[group + 4]) + 16 * (bytes[group] >> 6)};
}

// Eight groups of 32 values with four bits each, two groups in the same 32 bytes of `quants`, and a
// fifth bit in bit `group` of high_bits[j] where there is one.
template <typename Real>
void DecodeSixBitGroups(const Byte* block, const Byte* quants, const Byte* high_bits, Real* out) {
  const Real d = LoadHalf(block);
  const Real dmin = LoadHalf(block + 2);
  for (int group = 0; group < 8; ++group) {
    const GroupFactors factors = SixBits(block + 4, group);
    const Real scale = d * static_cast<Real>(factors.scale);
    const Real offset = dmin * static_cast<Real>(factors.offset);
    for (int j = 0; j < 32; ++j) {
      const Byte pair = quants[group / 2 * 32 + j];
      const int n = group % 2 == 0 ? Low(pair) : High(pair);
      const int bit = high_bits == nullptr ? 0 : high_bits[j] >> group & 1;
      out[32 * group + j] = scale * static_cast<Real>(n + 16 * bit) - offset;
    }
  }
}

struct Q4K {
  static constexpr int kHalves[] = {0, 2};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    DecodeSixBitGroups(block, block + 16, nullptr, out);
  }
};

struct Q5K {
  static constexpr int kHalves[] = {0, 2};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    DecodeSixBitGroups(block, block + 48, block + 16, out);
  }
};

struct Q6K {
  static constexpr int kHalves[] = {208};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Byte* scales = block + 192;
    const Real d = LoadHalf(block + 208);
    // 128 values share 64 bytes of lower bits and 32 bytes of upper ones, 32 at each shift.
    for (int half = 0; half < 2; ++half) {
      const Byte* low = block + 64 * half;
      const Byte* high = block + 128 + 32 * half;
      for (int quarter = 0; quarter < 4; ++quarter) {
        for (int c = 0; c < 32; ++c) {
          const int j = 128 * half + 32 * quarter + c;
          const Byte pair = low[quarter % 2 * 32 + c];
          const int n = quarter < 2 ? Low(pair) : High(pair);
          const int upper = high[c] >> 2 * quarter & 3;
          const Real scale = d * static_cast<Real>(static_cast<int8_t>(scales[j / 16]));
          out[j] = scale * static_cast<Real>(n + 16 * upper - 32);
        }
      }
    }
  }
};

struct IQ4XS {
  static constexpr int kHalves[] = {0};
  template <typename Real>
  static void Decode(const Byte* block, Real* out) {
    const Real d = LoadHalf(block);
    const uint32_t scales_high = LoadUint16(block + 2);
    for (int group = 0; group < 8; ++group) {
      const Byte pair = block[4 + group / 2];
      const int low = group % 2 == 0 ? Low(pair) : High(pair);
      const int high = static_cast<int>(scales_high >> 2 * group & 3);
      const Real scale = d * static_cast<Real>(low + 16 * high - 32);
      const Byte* quants = block + 8 + 16 * group;
      for (int j = 0; j < 16; ++j) {
        out[32 * group + j] = scale * static_cast<Real>(kNonLinearIntegers[Low(quants[j])]);
        out[32 * group + j + 16] = scale * static_cast<Real>(kNonLinearIntegers[High(quants[j])]);
      }
    }
  }
};

// Calls function(format). REQUIRES: a type of blocks.
template <typename Function>
void WithFormat(StoredType type, const Function& function) {
  switch (type) {
    case StoredType::kF32:
    case StoredType::kBF16:
    case StoredType::kF16:
      FASTKV_CHECK_MSG(false, "not a type of blocks");
      return;
    case StoredType::kQ4_0:
      return function(Q4_0());
    case StoredType::kQ4_1:
      return function(Q4_1());
    case StoredType::kQ5_0:
      return function(Q5_0());
    case StoredType::kQ5_1:
      return function(Q5_1());
    case StoredType::kQ8_0:
      return function(Q8_0());
    case StoredType::kQ2K:
      return function(Q2K());
    case StoredType::kQ3K:
      return function(Q3K());
    case StoredType::kQ4K:
      return function(Q4K());
    case StoredType::kQ5K:
      return function(Q5K());
    case StoredType::kQ6K:
      return function(Q6K());
    case StoredType::kIQ4NL:
      return function(IQ4NL());
    case StoredType::kIQ4XS:
      return function(IQ4XS());
  }
}

template <typename Real>
void DecodeElements(StoredType type, const void* row, int64_t num_values, Real* out) {
  switch (ElementTypeOf(type)) {
    case DType::kBF16:
      return static_cast<void>(std::transform(static_cast<const BFloat16*>(row),
                                              static_cast<const BFloat16*>(row) + num_values, out,
                                              [](BFloat16 value) { return ToFloat(value); }));
    case DType::kF16:
      return static_cast<void>(std::transform(static_cast<const Float16*>(row),
                                              static_cast<const Float16*>(row) + num_values, out,
                                              [](Float16 value) { return ToFloat(value); }));
    default:
      std::copy_n(static_cast<const float*>(row), num_values, out);
  }
}

template <typename Real>
void Decode(StoredType type, const void* row, int64_t num_values, Real* out) {
  if (IsElementType(type)) return DecodeElements(type, row, num_values, out);
  const BlockSize size = BlockOf(type);
  FASTKV_CHECK_EQ(num_values % size.num_values, 0);
  WithFormat(type, [&](auto format) {
    const Byte* block = static_cast<const Byte*>(row);
    for (int64_t i = 0; i < num_values; i += size.num_values, block += size.num_bytes) {
      format.Decode(block, out + i);
    }
  });
}

}  // namespace

void DecodeRow(StoredType type, const void* row, int64_t num_values, float* out) {
  Decode(type, row, num_values, out);
}

void DecodeRow(StoredType type, const void* row, int64_t num_values, double* out) {
  Decode(type, row, num_values, out);
}

std::span<const int> BlockHalves(StoredType type) {
  if (IsElementType(type)) return {};
  std::span<const int> halves;
  WithFormat(type, [&](auto format) { halves = decltype(format)::kHalves; });
  return halves;
}

bool HasNonFiniteScale(StoredType type, const void* row, int64_t num_values) {
  if (IsElementType(type)) return false;
  const BlockSize size = BlockOf(type);
  FASTKV_CHECK_EQ(num_values % size.num_values, 0);
  const std::span<const int> halves = BlockHalves(type);
  const Byte* block = static_cast<const Byte*>(row);
  for (int64_t i = 0; i < num_values; i += size.num_values, block += size.num_bytes) {
    for (const int offset : halves) {
      if (!std::isfinite(LoadHalf(block + offset))) return true;
    }
  }
  return false;
}

}  // namespace fastkv
