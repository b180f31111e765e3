// The tensor-core instruction and the loads that feed it, for bfloat16 operands and float32 sums.
//
// m16n8k16: in a warp, lane 4 g + t holds
//   A [16, 16]: a[0] = (g, 2t..2t+1), a[1] = (g + 8, same), a[2] = (g, 2t + 8..), a[3] = (g + 8,
//   ..) B [16, 8]:  b[0] = (2t..2t+1, g), b[1] = (2t + 8.., g) C [16, 8]:  c[0], c[1] = (g,
//   2t..2t+1), c[2], c[3] = (g + 8, same)
#ifndef FASTKV_BACKEND_CUDA_TENSOR_CORE_CUH_
#define FASTKV_BACKEND_CUDA_TENSOR_CORE_CUH_

#include <cuda_bf16.h>

#include <cstdint>

namespace fastkv::cuda {

__device__ __forceinline__ void MultiplyAdd(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                            uint32_t a3, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ uint32_t SharedAddress(const void* data) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(data));
}

// Four 8 x 8 matrices; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void LoadMatrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

__device__ __forceinline__ void LoadMatricesTransposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

// Starts a copy of 16 bytes to shared memory; writes zeros and reads nothing when not `valid`.
__device__ __forceinline__ void CopyAsync16(uint32_t to, const void* from, bool valid) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}

__device__ __forceinline__ void CommitCopies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most kPending groups of this thread's copies are unfinished.
template <int kPending>
__device__ __forceinline__ void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// 16 bytes that are read once.
__device__ __forceinline__ uint4 LoadStreaming(const void* from) {
  uint4 value;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(from));
  return value;
}

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_TENSOR_CORE_CUH_
