// The pivot of a group: the binade of its first finite non-zero magnitude (see ../reduction.hpp).
#pragma once

#include <algorithm>

#include "chunk.hpp"

namespace pqi::cuda {

inline constexpr uint64_t no_element = ~uint64_t(0);

template <class T>
PQI_DEVICE bool can_be_pivot(T x) {
  return x != T(0) && x - x == T(0);
}

template <class T>
PQI_DEVICE int pivot_of_element(Cursor& cursor, uint64_t first) {
  return first == no_element ? 0 : binade(magnitude(double(cursor.number<T>(first))));
}

// Of a group of one chunk, by the chunk's four threads.
template <class T, bool plain>
PQI_DEVICE int pivot_of_chunk(Block& block, Chunk<T, plain>& chunk) {
  for (uint64_t row = 0; row < chunk.size(); row += lanes) {
    const Row<T> mine = chunk.gather(row);
    double found = 0.0;
    for (int j = quad_lanes; j-- > 0;)
      if (can_be_pivot(mine.x[j])) found = magnitude(double(mine.x[j]));
    const uint32_t who = block.ballot(found != 0.0, quad);
    if (who == 0) continue;
    int first = 0;
    while ((who >> first & 1) == 0) ++first;
    return binade(block.broadcast(found, first, quad));
  }
  return 0;
}

// first[group] = the least index of a finite non-zero element. Blocks look at tiles in ascending order and stop behind
// what another one found, so it costs a read of the leading zeros.
template <class T>
struct FindPivots {
  static constexpr int threads = 256;
  static constexpr uint64_t tile = chunk_size;

  Source source;
  uint64_t blocks_per_group;
  uint64_t* first;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index() / blocks_per_group;
    Cursor cursor(source, group);
    for (uint64_t begin = block.index() % blocks_per_group * tile; begin < source.size;
         begin += blocks_per_group * tile) {
      if (block.broadcast(block.peek(first + group), 0) < begin) return;  // a warp goes together
      const uint64_t end = source.size - begin < tile ? source.size : begin + tile;
      for (uint64_t i = begin + uint64_t(block.warp() * warp_size); i < end; i += threads) {
        const uint64_t mine = i + uint64_t(block.lane());
        const uint32_t who = block.ballot(mine < end && can_be_pivot(cursor.number<T>(mine)));
        if (who == 0) continue;
        int lane = 0;
        while ((who >> lane & 1) == 0) ++lane;
        if (block.lane() == lane && mine < block.peek(first + group)) block.min(first + group, mine);
        break;
      }
    }
  }
};

template <class T>
void find_pivots(const Queue& queue, const Groups& groups, const Scratch<uint64_t>& first) {
  first.fill(0xff);
  const uint64_t tiles = (groups.size() + FindPivots<T>::tile - 1) / FindPivots<T>::tile;
  const uint64_t busy = 2 * uint64_t(queue.processors());
  const uint64_t each = std::clamp(busy / std::max(groups.count(), uint64_t(1)), uint64_t(1), tiles);
  queue.launch(groups.count() * each, FindPivots<T>{groups.source(), each, first.get()});
}

}  // namespace pqi::cuda
