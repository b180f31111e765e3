// The entries of one sequence in one layer as the attention kernels see them, and the queries that
// look at them. Prefill is the case without a frozen part.
#ifndef FASTKV_BACKEND_CUDA_KV_SOURCE_H_
#define FASTKV_BACKEND_CUDA_KV_SOURCE_H_

#include <cstdint>

namespace fastkv::cuda {

// Strides count elements. Of the tail, [num_kv_heads, tail_len, head_dim], only the head stride is
// free. The lengths are read on the device, so a captured graph can be replayed with others.
struct SequenceKv {
  const void* frozen_keys;
  const void* frozen_values;
  const int32_t* frozen_positions;
  const void* tail_keys;
  const void* tail_values;
  const int32_t* tail_positions;
  int64_t tail_key_stride;
  int64_t tail_value_stride;
  int64_t tail_len;
};

// The entries of one KV head.
template <typename T>
struct HeadKv {
  const T* frozen_keys;
  const T* frozen_values;
  const int32_t* frozen_positions;
  const T* tail_keys;
  const T* tail_values;
  const int32_t* tail_positions;
  int64_t num_frozen;
  int64_t num_entries;  // frozen and tail
  int head_dim;

#ifdef __CUDACC__
  __device__ HeadKv(const SequenceKv& kv, const int64_t* head_begin, int head, int head_dim_in)
      : head_dim(head_dim_in) {
    const int64_t begin = head_begin[head];
    num_frozen = head_begin[head + 1] - begin;
    num_entries = num_frozen + kv.tail_len;
    frozen_keys = static_cast<const T*>(kv.frozen_keys) + begin * head_dim;
    frozen_values = static_cast<const T*>(kv.frozen_values) + begin * head_dim;
    frozen_positions = kv.frozen_positions + begin;
    tail_keys = static_cast<const T*>(kv.tail_keys) + head * kv.tail_key_stride;
    tail_values = static_cast<const T*>(kv.tail_values) + head * kv.tail_value_stride;
    tail_positions = kv.tail_positions;
  }

  __device__ const T* Key(int64_t entry) const {
    return entry < num_frozen ? frozen_keys + entry * head_dim
                              : tail_keys + (entry - num_frozen) * head_dim;
  }
  __device__ const T* Value(int64_t entry) const {
    return entry < num_frozen ? frozen_values + entry * head_dim
                              : tail_values + (entry - num_frozen) * head_dim;
  }
  __device__ int32_t Position(int64_t entry) const {
    return entry < num_frozen ? frozen_positions[entry] : tail_positions[entry - num_frozen];
  }
#endif
};

}  // namespace fastkv::cuda

#endif  // FASTKV_BACKEND_CUDA_KV_SOURCE_H_
