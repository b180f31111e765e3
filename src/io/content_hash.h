// Fingerprints of contents, to tell apart files and settings that must not be mixed up. Made to
// notice accidents, not for security.
#ifndef FASTKV_IO_CONTENT_HASH_H_
#define FASTKV_IO_CONTENT_HASH_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fastkv {

// Depends on every byte, their order, their number and `seed`; the same on every machine. Two texts
// of one length that differ within one aligned group of 8 bytes never have the same value. The
// mixing is ours: four lanes, each step a bijection of its lane, so that a core reads at the speed
// of its memory.
uint64_t ContentHash(std::span<const std::byte> bytes, uint64_t seed = 0);
uint64_t ContentHash(std::string_view text, uint64_t seed = 0);

// 16 lower-case hexadecimal digits.
std::string HashText(uint64_t hash);

}  // namespace fastkv

#endif  // FASTKV_IO_CONTENT_HASH_H_
