// What this machine can do at best, measured: the yardsticks for everything else.
#ifndef FASTKV_BACKEND_CPU_CEILINGS_H_
#define FASTKV_BACKEND_CPU_CEILINGS_H_

#include "backend/backend.h"
#include "base/status.h"

namespace fastkv {

// Floating-point operations a second of oneDNN on a large product (2048 x 2048 x 2048; a
// multiply-add counts two), the best of as many runs as fit `duration_ms`, at least one.
// `type`: f32 or bf16. Not for use while another thread is inside a back end.
// Errors: kMemory; kUnsupported where oneDNN was left out of this build or lacks the type.
Result<double> MeasureMatrixFlopsPerSecond(DType type, int num_threads, double duration_ms);

// Bytes a second of `num_threads` threads that add up a buffer of 512 MiB, each reading four streams
// of a block side by side; the best of as many runs as fit `duration_ms`, at least one. Errors:
// kMemory.
Result<double> MeasureReadBytesPerSecond(int num_threads, double duration_ms);

}  // namespace fastkv

#endif  // FASTKV_BACKEND_CPU_CEILINGS_H_
