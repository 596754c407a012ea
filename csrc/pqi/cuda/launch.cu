#include "launch.hpp"

#include <cuda_runtime.h>

#include <map>
#include <mutex>

#ifndef PQI_CUDA_ARCHITECTURES
#define PQI_CUDA_ARCHITECTURES ""
#endif

namespace pqi::cuda {
namespace {

std::string on_device(int device) { return " on cuda:" + std::to_string(device); }

[[noreturn]] void fail(cudaError_t error, const std::string& what, int device) {
  cudaGetLastError();  // the next call must not find this error
  if (error == cudaErrorMemoryAllocation)
    throw OutOfMemory("CUDA is out of memory" + on_device(device) + ": " + what +
                      "; free memory there (what torch caches goes with torch.cuda.empty_cache()) or measure fewer "
                      "elements at once");
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion ||
      error == cudaErrorInvalidDeviceFunction)
    throw DeviceError("pqi has no kernels for the GPU" + on_device(device) +
                      " (compiled for " PQI_CUDA_ARCHITECTURES "): " + cudaGetErrorString(error) +
                      "; rebuild with -C cmake.define.CMAKE_CUDA_ARCHITECTURES naming its compute capability");
  throw DeviceError("CUDA failed" + on_device(device) + ": " + what + ": " + cudaGetErrorString(error));
}

void check(cudaError_t error, const char* what, int device) {
  if (error != cudaSuccess) fail(error, what, device);
}

// A pool of our own: the device's own one gives everything back whenever somebody waits for the device, and to map
// memory again costs more than to read it. Up to a 64th of the device's memory stays for the next call.
cudaMemPool_t make_pool(int device, size_t memory) {
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  cudaMemPool_t pool;
  check(cudaMemPoolCreate(&pool, &properties), "a pool of scratch memory", device);
  uint64_t kept = memory / 64;
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept), "a pool of scratch memory", device);
  return pool;
}

struct Properties {
  int processors = 0;
  size_t shared_limit = 0;
  cudaMemPool_t pool = nullptr;
};

// Of the devices that were used.
struct Known {
  std::mutex mutex;
  std::map<int, Properties> devices;
};
Known& known() {
  static Known all;
  return all;
}

// Asked for once a device, which is the current one.
Properties properties_of(int device) {
  const std::lock_guard lock(known().mutex);
  const auto found = known().devices.find(device);
  if (found != known().devices.end()) return found->second;
  cudaDeviceProp all;
  check(cudaGetDeviceProperties(&all, device), "its properties", device);
  if (!all.memoryPoolsSupported)
    throw DeviceError(
        "pqi needs memory that is allocated in the order of a stream, which the GPU or its driver does "
        "not offer" +
        on_device(device));
  return known().devices[device] = {all.multiProcessorCount, all.sharedMemPerBlockOptin,
                                    make_pool(device, all.totalGlobalMem)};
}

}  // namespace

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

std::string why_no_device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  return error == cudaSuccess ? "no GPU" : cudaGetErrorString(error);
}

uint64_t scratch_kept() {
  const std::lock_guard lock(known().mutex);
  uint64_t sum = 0;
  for (const auto& [device, properties] : known().devices) {
    uint64_t bytes = 0;
    check(cudaMemPoolGetAttribute(properties.pool, cudaMemPoolAttrReservedMemCurrent, &bytes), "its scratch memory",
          device);
    sum += bytes;
  }
  return sum;
}

void release_scratch() {
  const std::lock_guard lock(known().mutex);
  for (const auto& [device, properties] : known().devices)
    check(cudaMemPoolTrimTo(properties.pool, 0), "giving scratch memory back", device);
}

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (int device = 0, count = device_count(); device < count; ++device) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), "its name", device);
    names.emplace_back(properties.name);
  }
  return names;
}

std::vector<std::string> architectures() {
  std::vector<std::string> names;
  for (const char c : std::string(PQI_CUDA_ARCHITECTURES)) {
    if (names.empty() || c == ' ') names.emplace_back();
    if (c != ' ') names.back() += c;
  }
  return names;
}

Queue::Queue(int device, uintptr_t stream) : device_(device), stream_(stream) {
  const int count = device_count();
  if (count == 0) throw DeviceError("no CUDA device: " + why_no_device());
  if (device < 0 || device >= count)
    throw DeviceError("there is no device cuda:" + std::to_string(device) + ", only " + std::to_string(count));
  check(cudaGetDevice(&device_before_), "the current device", device);
  if (device_before_ != device_) check(cudaSetDevice(device_), "making it current", device);
  try {
    const Properties properties = properties_of(device);
    processors_ = properties.processors;
    shared_limit_ = properties.shared_limit;
    pool_ = properties.pool;
  } catch (...) {
    restore();
    throw;
  }
}

Queue::~Queue() { restore(); }

size_t Queue::batch_bytes() { return size_t(1) << 30; }

void Queue::restore() const noexcept {
  if (device_before_ != device_ && cudaSetDevice(device_before_) != cudaSuccess) cudaGetLastError();
}

// Errors come from the call itself: the last error of the thread may be another library's.
void Queue::start(const void* kernel, uint64_t blocks, int threads, size_t shared_bytes, void** arguments) const {
  if (blocks > 0x7fffffffull) throw DeviceError("more groups than one launch can hold; measure fewer at once");
  if (shared_bytes > shared_limit_)
    throw DeviceError("a kernel needs " + std::to_string(shared_bytes) + " bytes of shared memory, and" +
                      on_device(device_) + " a block has " + std::to_string(shared_limit_));
  constexpr size_t without_asking = 48 * 1024;
  if (shared_bytes > without_asking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes)),
          "shared memory for a kernel", device_);
  check(cudaLaunchKernel(kernel, dim3(unsigned(blocks)), dim3(unsigned(threads)), arguments, shared_bytes,
                         reinterpret_cast<cudaStream_t>(stream_)),
        "starting a kernel", device_);
}

void Queue::fill(void* to, int byte, size_t bytes) const {
  if (bytes > 0)
    check(cudaMemsetAsync(to, byte, bytes, reinterpret_cast<cudaStream_t>(stream_)), "filling memory", device_);
}

void Queue::copy(const void* from, size_t bytes, void* to) const {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, reinterpret_cast<cudaStream_t>(stream_)),
        "copying to the device", device_);
}

void* Queue::allocate(size_t bytes) const {
  void* memory = nullptr;
  const cudaError_t error = cudaMallocFromPoolAsync(&memory, bytes > 0 ? bytes : 1, static_cast<cudaMemPool_t>(pool_),
                                                    reinterpret_cast<cudaStream_t>(stream_));
  if (error != cudaSuccess) fail(error, std::to_string(bytes) + " bytes of scratch memory", device_);
  return memory;
}

void Queue::release(void* memory) const noexcept {
  if (cudaFreeAsync(memory, reinterpret_cast<cudaStream_t>(stream_)) != cudaSuccess) cudaGetLastError();
}

}  // namespace pqi::cuda
