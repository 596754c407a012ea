// Where work goes: a device and a stream of it. Everything is enqueued, nothing waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace pqi::cuda {

// No device, no kernel for it, or a call that failed; the context stays usable.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class OutOfMemory : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

// Devices that can be used now: none where there is no driver.
int device_count();
std::vector<std::string> device_names();
// Why there are none.
std::string why_no_device();
// What kernels were compiled for.
std::vector<std::string> architectures();

// Bytes of scratch memory that devices keep for this module, in use or for the next call; giving back what no call
// uses.
uint64_t scratch_kept();
void release_scratch();

// Makes the device current while it lives; `stream` is a cudaStream_t.
class Queue {
 public:
  Queue(int device, uintptr_t stream);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  int processors() const { return processors_; }
  size_t shared_limit() const { return shared_limit_; }  // a block's, opt-in included
  // Scratch memory that groups done at once may take, unless one of them needs more.
  static size_t batch_bytes();

  // Runs a program (see block.hpp) on `blocks` blocks with this much shared memory; no block is no work.
  template <class Program>
  void launch(uint64_t blocks, const Program& program, size_t shared_bytes = 0) const;

  // Sets every byte.
  void fill(void* to, int byte, size_t bytes) const;
  // From the host's memory, which is free again when this returns.
  void copy(const void* from, size_t bytes, void* to) const;
  void* allocate(size_t bytes) const;
  void release(void* memory) const noexcept;

 private:
  void start(const void* kernel, uint64_t blocks, int threads, size_t shared_bytes, void** arguments) const;
  void restore() const noexcept;

  int device_, device_before_ = 0;
  uintptr_t stream_;
  int processors_ = 1;
  size_t shared_limit_ = 0;
  void* pool_ = nullptr;
};

}  // namespace pqi::cuda

#if defined(__CUDACC__)

#include "block.hpp"

namespace pqi::cuda {

template <class Program>
__global__ void __launch_bounds__(Program::threads) run_program(const __grid_constant__ Program program) {
  Block block;
  program(block);
}

template <class Program>
void Queue::launch(uint64_t blocks, const Program& program, size_t shared_bytes) const {
  static_assert(std::is_trivially_copyable_v<Program> && sizeof(Program) <= 4096);  // what a launch's arguments may be
  if (blocks == 0) return;
  void* arguments[] = {const_cast<Program*>(&program)};
  start(reinterpret_cast<const void*>(&run_program<Program>), blocks, Program::threads, shared_bytes, arguments);
}

}  // namespace pqi::cuda

#elif defined(PQI_EXECUTOR)

#include "block.hpp"

namespace pqi::cuda {

template <class Program>
void Queue::launch(uint64_t blocks, const Program& program, size_t shared_bytes) const {
  executor::run(blocks, Program::threads, shared_bytes, [&] {
    Block block;
    program(block);
  });
}

}  // namespace pqi::cuda

#endif
