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
                      "; free memory there or measure fewer elements at once");
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

struct Properties {
  int processors = 0, shared_limit = 0;
};

// Asked for once a device.
Properties properties_of(int device) {
  static std::mutex mutex;
  static std::map<int, Properties> known;
  const std::lock_guard lock(mutex);
  auto found = known.find(device);
  if (found != known.end()) return found->second;
  Properties properties;
  check(cudaDeviceGetAttribute(&properties.processors, cudaDevAttrMultiProcessorCount, device), "its attributes",
        device);
  check(cudaDeviceGetAttribute(&properties.shared_limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "its attributes", device);
  known[device] = properties;
  return properties;
}

}  // namespace

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
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
  if (count == 0) throw DeviceError("no CUDA device: there is no GPU or no driver for it");
  if (device < 0 || device >= count)
    throw DeviceError("there is no device cuda:" + std::to_string(device) + ", only " + std::to_string(count));
  const Properties properties = properties_of(device);
  processors_ = properties.processors;
  shared_limit_ = size_t(properties.shared_limit);
  check(cudaGetDevice(&device_before_), "the current device", device);
  if (device_before_ != device_) check(cudaSetDevice(device_), "making it current", device);
}

Queue::~Queue() {
  if (device_before_ != device_) cudaSetDevice(device_before_);
}

void Queue::begin_launch(const void* kernel, uint64_t blocks, size_t shared_bytes) const {
  if (blocks > 0x7fffffffull) throw DeviceError("more groups than one launch can hold; measure fewer at once");
  constexpr size_t without_asking = 48 * 1024;
  if (shared_bytes > without_asking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes)),
          "shared memory for a kernel", device_);
}

void Queue::end_launch() const { check(cudaGetLastError(), "starting a kernel", device_); }

void Queue::fill(void* to, int byte, size_t bytes) const {
  if (bytes > 0)
    check(cudaMemsetAsync(to, byte, bytes, reinterpret_cast<cudaStream_t>(stream_)), "filling memory", device_);
}

void* Queue::allocate(size_t bytes) const {
  void* memory = nullptr;
  const cudaError_t error = cudaMallocAsync(&memory, bytes > 0 ? bytes : 1, reinterpret_cast<cudaStream_t>(stream_));
  if (error != cudaSuccess) fail(error, std::to_string(bytes) + " bytes of scratch memory", device_);
  return memory;
}

void Queue::release(void* memory) const noexcept { cudaFreeAsync(memory, reinterpret_cast<cudaStream_t>(stream_)); }

}  // namespace pqi::cuda
