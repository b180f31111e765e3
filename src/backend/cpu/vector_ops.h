// Element-wise work on single rows, vectorised with Highway for whatever the processor has (up to
// SetVectorLevel). Single-threaded; any count, any alignment; outputs may equal inputs only where
// stated.
#ifndef FASTKV_BACKEND_CPU_VECTOR_OPS_H_
#define FASTKV_BACKEND_CPU_VECTOR_OPS_H_

#include <cstdint>

#include "backend/cpu/cpu_features.h"
#include "base/float16.h"

namespace fastkv::cpu {

// Keeps these functions from using more than `level`. Process-wide; for tests.
void SetVectorLevel(CpuLevel level);

// Rounds to nearest even, the bits of ToBFloat16.
void FloatsToBFloat16(const float* x, BFloat16* out, int64_t count);
// out[j] = scale * x[j].
void ScaledInt8ToFloats(const int8_t* x, float scale, int64_t count, float* out);
// to[j] += x[j].
void AddTo(float* to, const float* x, int64_t count);
// to[j] = max(to[j], x[j]).
void MaxTo(float* to, const float* x, int64_t count);

// out = x * weight / sqrt(mean(x^2) + epsilon). For float, out may equal x.
void RmsNormRow(const float* x, const float* weight, float epsilon, int64_t count, float* out);
void RmsNormRow(const float* x, const float* weight, float epsilon, int64_t count, BFloat16* out);
// out = silu(gate) * up.
void SiluMultiplyRow(const float* gate, const float* up, int64_t count, float* out);
void SiluMultiplyRow(const BFloat16* gate, const BFloat16* up, int64_t count, BFloat16* out);
// Rotary embedding of one head in place: component c pairs with c + half; cos_sin holds `half`
// cosines, then `half` sines.
void RotateHead(float* head, const float* cos_sin, int64_t half);

// Of any finite elements, in no particular order of addition.
float SumOf(const float* x, int64_t count);
float SumOfSquares(const float* x, int64_t count);
float Dot(const float* a, const float* b, int64_t count);
// The largest element, or NaN if there is one; count >= 1.
float MaxOrNan(const float* x, int64_t count);
// The sum of e^(x[j] - max).
float SumOfExponentials(const float* x, float max, int64_t count);

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_VECTOR_OPS_H_
