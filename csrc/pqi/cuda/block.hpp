// A block of threads as the programs in this directory see it.
//
// A program is a trivially copyable struct of arguments with `static constexpr int threads` and
// `operator()(Block&) const`, run once by every thread. nvcc compiles it to a kernel; g++ compiles the same text for
// the executor (executor.hpp), which is how it is tested where there is no GPU.
//
// Lane operations act within aligned segments of `width` lanes of a warp, a power of two up to 32; all lanes of a
// segment must take part. Atomic operations return the value before.
#pragma once

#include "../portable.hpp"

#if defined(__CUDACC__)

#define PQI_DEVICE __device__ __forceinline__
#define PQI_OUT_OF_LINE __device__ __noinline__
#define PQI_UNROLL _Pragma("unroll")

namespace pqi::cuda {

inline constexpr int warp_size = 32;

class Block {
 public:
  PQI_DEVICE int thread() const { return int(threadIdx.x); }
  PQI_DEVICE int threads() const { return int(blockDim.x); }
  PQI_DEVICE int lane() const { return int(threadIdx.x) % warp_size; }
  PQI_DEVICE int warp() const { return int(threadIdx.x) / warp_size; }
  PQI_DEVICE uint64_t index() const { return blockIdx.x; }
  PQI_DEVICE uint64_t count() const { return gridDim.x; }

  // The block's shared memory, `bytes` into it; uninitialised.
  template <class T>
  PQI_DEVICE T* shared(size_t bytes = 0) const {
    extern __shared__ __align__(16) unsigned char memory[];
    return reinterpret_cast<T*>(memory + bytes);
  }

  PQI_DEVICE void sync() const { __syncthreads(); }
  PQI_DEVICE void sync_lanes(int width = warp_size) const { __syncwarp(segment(width)); }

  template <class T>
  PQI_DEVICE T shuffle_down(T value, int delta, int width = warp_size) const {
    return __shfl_down_sync(segment(width), value, unsigned(delta), width);
  }
  template <class T>
  PQI_DEVICE T shuffle_xor(T value, int mask, int width = warp_size) const {
    return __shfl_xor_sync(segment(width), value, mask, width);
  }
  template <class T>
  PQI_DEVICE T broadcast(T value, int lane, int width = warp_size) const {
    return __shfl_sync(segment(width), value, lane, width);
  }
  // Bit i: what lane i of the segment says.
  PQI_DEVICE uint32_t ballot(bool value, int width = warp_size) const {
    return (__ballot_sync(segment(width), value) & segment(width)) >> (lane() & ~(width - 1));
  }

  // Which lanes of the warp say the same.
  PQI_DEVICE uint32_t match(uint32_t value) const { return __match_any_sync(0xffffffffu, value); }

  PQI_DEVICE uint32_t add(uint32_t* to, uint32_t value) const { return atomicAdd(to, value); }
  PQI_DEVICE uint64_t add(uint64_t* to, uint64_t value) const {
    return atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
  }
  PQI_DEVICE uint64_t max(uint64_t* to, uint64_t value) const {
    return atomicMax(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
  }
  PQI_DEVICE uint64_t min(uint64_t* to, uint64_t value) const {
    return atomicMin(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
  }
  // What other blocks may be changing.
  PQI_DEVICE uint64_t peek(const uint64_t* from) const { return *static_cast<const volatile uint64_t*>(from); }

 private:
  PQI_DEVICE unsigned segment(int width) const {
    return width == warp_size ? 0xffffffffu : ((1u << width) - 1u) << (lane() & ~(width - 1));
  }
};

PQI_DEVICE int count_ones(uint32_t x) { return __popc(x); }

}  // namespace pqi::cuda

#else

#define PQI_DEVICE inline
#define PQI_OUT_OF_LINE inline
#define PQI_UNROLL
#if defined(PQI_EXECUTOR)
#include "executor.hpp"
#endif

#endif
