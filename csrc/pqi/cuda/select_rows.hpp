// Top-k of rows, a warp each: the threshold is found bit by bit, by counting the keys in shared memory that are no
// smaller, and the mask is written in order.
#pragma once

#include "../radix_select.hpp"
#include "source.hpp"

namespace pqi::cuda {

template <class K>
struct SelectRows {
  static constexpr int threads = 128;
  static constexpr int rows = threads / warp_size;
  static constexpr uint64_t widest = 1024;

  Source source, masks;
  const uint64_t* each;  // counts by row, or null
  uint64_t all;
  bool writes;
  double* thresholds;  // or null

  static void launch(const Queue& queue, const Groups& groups, const uint64_t* each, uint64_t all, const Groups* masks,
                     double* thresholds) {
    const SelectRows program{
        groups.source(), masks != nullptr ? masks->source() : Source{}, each, all, masks != nullptr, thresholds};
    queue.launch((groups.count() + rows - 1) / rows, program, rows * groups.size() * sizeof(K));
  }

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t row = block.index() * rows + uint64_t(block.warp());
    if (row >= source.count) return;
    K* const keys = block.shared<K>(uint64_t(block.warp()) * source.size * sizeof(K));
    Cursor cursor(source, row);
    const auto rule = key_rule<K>(source.dtype);
    uint32_t live = 0;
    for (uint64_t i = uint64_t(block.lane()); i < source.size; i += warp_size) {
      const bool alive = cursor.live(i);
      keys[i] = alive ? rule(cursor.bits<K>(i)) : K(0);
      live += alive;
    }
    block.sync_lanes();
    live = sum(block, live);
    const uint64_t given = each != nullptr ? each[row] : all, k = given < live ? given : live;
    const K threshold = k > 0 ? find(block, keys, uint32_t(k)) : K(0);
    if (thresholds != nullptr && block.lane() == 0)
      thresholds[row] = k > 0 ? key_value(source.dtype, threshold) : __builtin_nan("");
    if (writes) write(block, row, cursor, keys, threshold, k);
  }

 private:
  PQI_DEVICE static uint32_t sum(Block& block, uint32_t value) {
    for (int mask = warp_size / 2; mask > 0; mask /= 2) value += block.shuffle_xor(value, mask);
    return value;
  }

  PQI_DEVICE K least_from(Block& block, const K* keys, K least) const {
    uint64_t found = ~uint64_t(0);
    for (uint64_t i = uint64_t(block.lane()); i < source.size; i += warp_size)
      if (keys[i] >= least && keys[i] < found) found = keys[i];
    for (int mask = warp_size / 2; mask > 0; mask /= 2) {
      const uint64_t other = block.shuffle_xor(found, mask);
      found = other < found ? other : found;
    }
    return K(found);
  }

  PQI_DEVICE uint32_t count_from(Block& block, const K* keys, K least) const {
    uint32_t count = 0;
    for (uint64_t i = uint64_t(block.lane()); i < source.size; i += warp_size) count += keys[i] >= least;
    return sum(block, count);
  }

  // The k-th largest key. Dead elements are zero keys, which no count below includes.
  PQI_DEVICE K find(Block& block, const K* keys, uint32_t k) const {
    K threshold = 0;
    for (int bit = int(sizeof(K)) * 8; bit-- > 0;) {
      const K larger = K(threshold | K(1) << bit);
      const uint32_t count = count_from(block, keys, larger);
      if (count == k) return least_from(block, keys, larger);
      if (count > k) threshold = larger;
    }
    return threshold;
  }

  PQI_DEVICE void write(Block& block, uint64_t row, Cursor& cursor, const K* keys, K threshold, uint64_t k) const {
    Cursor mask(masks, row);
    const uint64_t above = threshold == K(~K(0)) ? 0 : count_from(block, keys, K(threshold + 1));
    uint64_t ties = k > above ? k - above : 0;
    const uint64_t size = source.size_of(row);
    for (uint64_t begin = 0; begin < size; begin += warp_size) {
      const uint64_t i = begin + uint64_t(block.lane());
      const bool within = i < size;
      const bool tied = within && k > 0 && keys[i] == threshold && cursor.live(i);
      const uint32_t who = block.ballot(tied);
      const uint64_t rank = uint64_t(count_ones(who & ((1u << block.lane()) - 1)));
      if (within) *mask.address(i) = char(k > 0 && (keys[i] > threshold || (tied && rank < ties)));
      const auto taken = uint64_t(count_ones(who));
      ties = ties > taken ? ties - taken : 0;
    }
  }
};

}  // namespace pqi::cuda
