// Brings matrices from host memory into device memory, in the back end's type.
#ifndef FASTKV_BACKEND_CUDA_WEIGHT_UPLOAD_H_
#define FASTKV_BACKEND_CUDA_WEIGHT_UPLOAD_H_

#include "backend/cuda/context.h"
#include "base/status.h"
#include "tensor/weight_view.h"

namespace fastkv::cuda {

// Copies the host matrix `part`, whose rows follow each other, to device memory at `to`, rounding
// to the context's type. Blocks are decoded on the host, a part of the matrix at a time. Complete
// on return. Uses the context's scratch memory. Errors: kMemory, kDevice.
Status UploadWeight(const Context& context, const WeightView& part, void* to);

// Errors: kDevice where this build has no code for the current device.
Status CheckKernelsRun();

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_WEIGHT_UPLOAD_H_
