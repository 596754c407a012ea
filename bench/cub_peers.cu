// What CUB makes of the jobs that gpu.py times, as a shared library for ctypes: nvcc -shared -Xcompiler -fPIC.
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>

namespace {

template <class K>
int sort(void* scratch, size_t* bytes, const void* keys, void* sorted, int64_t n, cudaStream_t stream) {
  return cub::DeviceRadixSort::SortKeys(scratch, *bytes, static_cast<const K*>(keys), static_cast<K*>(sorted), n, 0,
                                        int(8 * sizeof(K)), stream);
}

}  // namespace

// With scratch null, *bytes becomes what scratch must hold and nothing else happens. Returns a cudaError_t.
extern "C" int cub_sort(void* scratch, size_t* bytes, const void* keys, void* sorted, int64_t n, int item_size,
                        void* stream) {
  const auto queue = static_cast<cudaStream_t>(stream);
  return item_size == 2 ? sort<uint16_t>(scratch, bytes, keys, sorted, n, queue)
                        : sort<uint32_t>(scratch, bytes, keys, sorted, n, queue);
}

// The largest key: one read.
extern "C" int cub_max(void* scratch, size_t* bytes, const void* keys, void* largest, int64_t n, int item_size,
                       void* stream) {
  const auto queue = static_cast<cudaStream_t>(stream);
  if (item_size == 2)
    return cub::DeviceReduce::Max(scratch, *bytes, static_cast<const uint16_t*>(keys), static_cast<uint16_t*>(largest),
                                  n, queue);
  return cub::DeviceReduce::Max(scratch, *bytes, static_cast<const uint32_t*>(keys), static_cast<uint32_t*>(largest), n,
                                queue);
}
