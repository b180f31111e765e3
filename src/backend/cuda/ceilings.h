// What the device reaches at most, measured on the back end's own stream.
#ifndef FASTKV_BACKEND_CUDA_CEILINGS_H_
#define FASTKV_BACKEND_CUDA_CEILINGS_H_

#include "backend/backend.h"
#include "backend/cuda/context.h"
#include "backend/cuda/cudnn_attention.h"
#include "backend/cuda/mat_mul_engine.h"
#include "base/allocator.h"

namespace fastkv::cuda {

// cuBLASLt's product of two random 8192 x 8192 matrices of the context's type, a reduction over up
// to 4 GiB (less where the device has not that much left), a copy inside that memory, and
// PrefillAttention of 8192 rows with 32 query and 8 KV heads of 128. Each runs for about
// `duration_ms` in batches, the last two for a quarter of it; the median batch counts, since a GPU
// that is busy for long clocks lower than in its first milliseconds. `cudnn` may be null. Errors:
// kMemory, kDevice.
Result<DeviceCeilings> MeasureCeilings(const Context& context, Allocator& allocator,
                                       MatMulEngine& mat_mul, CudnnAttention* cudnn,
                                       double duration_ms);

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_CEILINGS_H_
