// Scratch memory on the device, taken and given back in the order of the stream.
#pragma once

#include "launch.hpp"

namespace pqi::cuda {

template <class T>
class Scratch {
 public:
  Scratch(const Queue& queue, size_t count)
      : queue_(queue),
        bytes_(count * sizeof(T)),
        memory_(count > 0 ? static_cast<T*>(queue.allocate(bytes_)) : nullptr) {}
  ~Scratch() {
    if (memory_ != nullptr) queue_.release(memory_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* get() const { return memory_; }
  void fill(int byte) const { queue_.fill(memory_, byte, bytes_); }

 private:
  const Queue& queue_;
  const size_t bytes_;
  T* const memory_;
};

}  // namespace pqi::cuda
