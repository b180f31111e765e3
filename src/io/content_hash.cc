#include "io/content_hash.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace fastkv {
namespace {

constexpr size_t kNumLanes = 4;
constexpr size_t kWordBytes = sizeof(uint64_t);
// Odd numbers with about as many ones as zeros: multiplying by them is a bijection that spreads a
// changed bit upwards.
constexpr uint64_t kStep = 0x9e3779b97f4a7c15ull;
constexpr uint64_t kFinish = 0x94d049bb133111ebull;

// A bijection of the word, and of the lane. The word is spread over all bits first: were it added as
// it is, a change of its highest bits could look like a change of the next word.
uint64_t Mixed(uint64_t lane, uint64_t word) {
  word *= kFinish;
  word ^= word >> 32;
  return (std::rotl(lane, 29) ^ word) * kStep;
}

// The bytes in little-endian order, missing ones zero.
uint64_t WordAt(const std::byte* bytes, size_t num_bytes) {
  uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, bytes, num_bytes);
  } else {
    for (size_t i = 0; i < num_bytes; ++i) word |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  }
  return word;
}

}  // namespace

uint64_t ContentHash(std::span<const std::byte> bytes, uint64_t seed) {
  std::array<uint64_t, kNumLanes> lanes;
  for (size_t i = 0; i < kNumLanes; ++i) lanes[i] = (seed + i) * kFinish + kStep;
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= kNumLanes * kWordBytes; left -= kNumLanes * kWordBytes) {
    for (uint64_t& lane : lanes) {
      lane = Mixed(lane, WordAt(at, kWordBytes));
      at += kWordBytes;
    }
  }
  for (size_t i = 0; left > 0; ++i) {
    const size_t count = left < kWordBytes ? left : kWordBytes;
    lanes[i] = Mixed(lanes[i], WordAt(at, count));
    at += count;
    left -= count;
  }
  uint64_t hash = bytes.size();
  for (const uint64_t lane : lanes) {
    hash = Mixed(hash, lane);
    hash ^= hash >> 32;
  }
  hash *= kFinish;
  return hash ^ (hash >> 29);
}

uint64_t ContentHash(std::string_view text, uint64_t seed) {
  return ContentHash(std::as_bytes(std::span(text.data(), text.size())), seed);
}

std::string HashText(uint64_t hash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = text.size(); i-- > 0; hash >>= 4) text[i] = kDigits[hash & 15];
  return text;
}

}  // namespace fastkv
