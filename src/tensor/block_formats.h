// What blocks of weights stand for. The layouts are those of ggml (ggml-common.h), which GGUF files
// are made of; docs/numerics.md, "Weights in blocks", lists them.
//
// In every format a value is scale * integer, plus an offset in some: scale and offset are a half
// float each, times an integer of up to 8 bits in the formats of 256 values. Such products are
// exact in float32, so that the float32 result is the exact value rounded once, whatever the order.
#ifndef FASTKV_TENSOR_BLOCK_FORMATS_H_
#define FASTKV_TENSOR_BLOCK_FORMATS_H_

#include <cstdint>
#include <span>

#include "tensor/stored_type.h"

namespace fastkv {

// The values of `num_values` stored ones at `row`, a whole number of blocks, which may stand at any
// address. Elements of f32, bf16 and f16 are widened. Thread-safe.
void DecodeRow(StoredType type, const void* row, int64_t num_values, float* out);
// The same without the rounding to float32.
void DecodeRow(StoredType type, const void* row, int64_t num_values, double* out);

// Where the half floats of a block stand: its scale and, in some formats, its offset. Empty for
// types of elements.
std::span<const int> BlockHalves(StoredType type);

// Whether a block has a scale or an offset that is infinite or NaN, which no quantiser writes: the
// file is damaged. False for f32, bf16 and f16, whatever they hold.
bool HasNonFiniteScale(StoredType type, const void* row, int64_t num_values);

}  // namespace fastkv

#endif  // FASTKV_TENSOR_BLOCK_FORMATS_H_
