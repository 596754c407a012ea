// The loops over groups that every measure shares.
#pragma once

#include "parallel.hpp"
#include "source.hpp"

namespace pqi::cpu {

// Live entries of each group.
std::vector<uint64_t> count_live(const Groups& groups);

// Calls body(first group, past the last, reader) for batches of groups on all threads.
template <class F>
void for_each_group(const Groups& groups, const Kernels& kernels, F body) {
  constexpr size_t batch_elements = size_t(1) << 16;
  const size_t few = batch_elements / (groups.size() + 1) + 1,
               batch = groups.size() > chunk_size ? few : (few + lanes - 1) / lanes * lanes;
  const size_t tasks = (groups.count() + batch - 1) / batch;
  parallel_for(tasks, num_threads(), [&](size_t task, int) {
    Reader reader(groups, kernels);
    const size_t begin = task * batch, end = begin + batch;
    body(begin, end < groups.count() ? end : groups.count(), reader);
  });
}

// Calls f with a value of the unsigned type that holds the groups' keys.
template <class F>
void with_key_type(const Groups& groups, F f) {
  switch (groups.key_stream()) {
    case Stream::bits32:
      return f(uint32_t{});
    case Stream::bits64:
      return f(uint64_t{});
    default:
      return f(uint16_t{});
  }
}

}  // namespace pqi::cpu
