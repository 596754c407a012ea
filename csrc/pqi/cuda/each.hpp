// Work on numbers 0 … n − 1, a thread each.
#pragma once

#include "launch.hpp"

namespace pqi::cuda {

#if defined(__CUDACC__) || defined(PQI_EXECUTOR)

template <class F>
struct Each {
  static constexpr int threads = 128;

  uint64_t n;
  F function;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t i = block.index() * threads + uint64_t(block.thread());
    if (i < n) function(i);
  }
};

// Calls function(i) on the device for i < n; a trivially copyable struct, as a program is.
template <class F>
void for_each(const Queue& queue, uint64_t n, const F& function) {
  queue.launch((n + Each<F>::threads - 1) / Each<F>::threads, Each<F>{n, function});
}

#endif

}  // namespace pqi::cuda
