// The executor as a device: what launch.cu is for a GPU.
#include <cstdlib>
#include <map>

#include "launch.hpp"

namespace pqi::cuda {
namespace {

std::map<void*, size_t>& taken() {
  static std::map<void*, size_t> sizes;
  return sizes;
}

}  // namespace

size_t executor::allocated() {
  size_t sum = 0;
  for (const auto& [memory, size] : taken()) sum += size;
  return sum;
}

int device_count() { return 1; }
std::vector<std::string> device_names() { return {"executor"}; }
std::vector<std::string> architectures() { return {"host"}; }
std::string why_no_device() { return ""; }
uint64_t scratch_kept() { return executor::allocated(); }
void release_scratch() {}

Queue::Queue(int device, uintptr_t stream) : device_(device), stream_(stream) {
  processors_ = executor::settings().processors;
  shared_limit_ = executor::settings().shared_limit;
}

Queue::~Queue() = default;

size_t Queue::batch_bytes() { return size_t(1) << 17; }

void Queue::fill(void* to, int byte, size_t bytes) const { std::memset(to, byte, bytes); }

void Queue::copy(const void* from, size_t bytes, void* to) const { std::memcpy(to, from, bytes); }

void* Queue::allocate(size_t bytes) const {
  const bool fits = bytes <= executor::settings().memory_limit - executor::allocated();
  void* memory = fits ? std::malloc(bytes > 0 ? bytes : 1) : nullptr;
  if (memory == nullptr) throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes of scratch memory");
  std::memset(memory, executor::poison, bytes);
  taken()[memory] = bytes;
  return memory;
}

void Queue::release(void* memory) const noexcept {
  taken().erase(memory);
  std::free(memory);
}

}  // namespace pqi::cuda
