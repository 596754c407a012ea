// The buckets of a sketch in ascending order, a tile at a time, for a block of threads.
#pragma once

#include "sketch_counter.hpp"

namespace pqi::cuda {

// What a thread sees of a tile: its bucket, and what lies below that.
struct SketchPlace {
  SketchBucket bucket;  // may be empty
  uint64_t rank;        // magnitudes in lower buckets, zeros among them
  uint64_t place;       // lower buckets of the tile that are not empty
  uint64_t tile;        // those of the tile
  uint64_t before;      // those of lower tiles
};

template <class K>
struct SketchWalk {
  static constexpr int threads = 256;
  static constexpr size_t shared_bytes = threads / warp_size * sizeof(uint64_t);
  static_assert(uint64_t(threads) <= uint64_t(1) << fewest_sketch_bits);

  // Calls f(place) on all threads for every tile of a group in which something was counted.
  template <class F>
  PQI_DEVICE static void for_each_tile(Block& block, const SketchTable<K>& table, uint64_t group, F f) {
    using Table = SketchTable<K>;
    uint64_t rank = table.heads[group * Table::head_words + 1], before = 0;
    for (uint64_t binade = 0; binade < Table::binades; ++binade) {
      if (table.occurs[group * Table::binades + binade] == 0) continue;
      for (uint64_t tile = binade << table.bits; tile < (binade + 1) << table.bits; tile += threads) {
        const SketchBucket bucket = table.get(group, tile + uint64_t(block.thread()));
        uint64_t all;
        const uint64_t below = scan(block, bucket.count << present_bits | uint64_t(bucket.count != 0), all);
        const uint64_t present = all & most_present;
        f(SketchPlace{bucket, rank + (below >> present_bits), below & most_present, present, before});
        rank += all >> present_bits;
        before += present;
      }
    }
  }

 private:
  // One sum for entries and buckets: those of a tile are at most as many as threads.
  static constexpr int present_bits = 9;
  static constexpr uint64_t most_present = (uint64_t(1) << present_bits) - 1;
  static_assert(uint64_t(threads) <= most_present);

  // The sum of lower threads' values; `all` is that of all.
  PQI_DEVICE static uint64_t scan(Block& block, uint64_t value, uint64_t& all) {
    uint64_t inclusive = value;
    for (int delta = 1; delta < warp_size; delta *= 2) {
      const uint64_t other = block.broadcast(inclusive, block.lane() >= delta ? block.lane() - delta : block.lane());
      if (block.lane() >= delta) inclusive += other;
    }
    uint64_t* const of_warp = block.shared<uint64_t>();
    block.sync();
    if (block.lane() == warp_size - 1) of_warp[block.warp()] = inclusive;
    block.sync();
    uint64_t lower = 0;
    all = 0;
    for (int w = 0; w < threads / warp_size; ++w) {
      if (w < block.warp()) lower += of_warp[w];
      all += of_warp[w];
    }
    return lower + inclusive - value;
  }
};

}  // namespace pqi::cuda
