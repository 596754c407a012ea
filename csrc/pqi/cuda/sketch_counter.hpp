// Keys counted by bucket (see ../gini_sketch.hpp): in shared memory where they lie near the largest of their
// neighbours, else in device memory. All are integers, so the order in which they are added changes nothing.
#pragma once

#include "../gini_sketch.hpp"
#include "source.hpp"

namespace pqi::cuda {

// What is counted of some groups. A low is added up in limbs, which hold for 2^41 of them.
template <class K>
struct SketchTable {
  static constexpr DType dtype = sizeof(K) == 4 ? DType::f32 : DType::f64;
  static constexpr int mantissa_bits = sizeof(K) == 4 ? 23 : 52, limb_bits = 22;
  static constexpr uint64_t binades = sizeof(K) == 4 ? 256 : 2048;
  static constexpr uint64_t words = sizeof(K) == 4 ? 2 : 3;  // of a bucket: count, limbs of the lows
  static constexpr uint64_t head_words = 3;                  // of a group: live, zeros, largest key

  int bits;
  uint64_t* counts;  // [group][bucket][word]
  uint64_t* occurs;  // [group][binade]
  uint64_t* heads;   // [group][word]

  static uint64_t bytes(int bits) { return ((binades << bits) * words + binades + head_words) * sizeof(uint64_t); }

  PQI_DEVICE SketchGrid grid() const { return {dtype, bits}; }
  PQI_DEVICE uint64_t buckets() const { return binades << bits; }

  PQI_DEVICE void add(Block& block, uint64_t group, uint64_t bucket, uint64_t count, uint64_t lows) const {
    uint64_t* const at = counts + (group * buckets() + bucket) * words;
    block.add(at, count);
    if (words == 2) {
      if (lows != 0) block.add(at + 1, lows);
    } else {
      const uint64_t lower = lows & ((uint64_t(1) << limb_bits) - 1), upper = lows >> limb_bits;
      if (lower != 0) block.add(at + 1, lower);
      if (upper != 0) block.add(at + words - 1, upper);
    }
    uint64_t* const here = occurs + group * binades + (bucket >> bits);
    if (block.peek(here) == 0) block.max(here, uint64_t(1));
  }

  PQI_DEVICE SketchBucket get(uint64_t group, uint64_t bucket) const {
    const uint64_t* const at = counts + (group * buckets() + bucket) * words;
    return {bucket, at[0], words == 2 ? uint128(at[1]) : (uint128(at[words - 1]) << limb_bits) + at[1]};
  }
};

template <class K>
struct CountBuckets {
  using Table = SketchTable<K>;
  static constexpr int threads = 1024;
  static constexpr int parts_of_low = sizeof(K) == 4 ? 1 : 3, part_bits = 15;  // of a low, in shared memory
  static constexpr uint64_t at_once = 32 / sizeof(K);
  static constexpr uint64_t round = uint64_t(1) << 17;  // so many elements' counters have 32 bits
  static constexpr size_t bucket_bytes = (1 + parts_of_low) * sizeof(uint32_t), head_bytes = 16;

  Source source;
  Table table;
  uint64_t parts, share;  // blocks to a group, elements to a block
  uint64_t window;        // buckets in shared memory

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index() / parts, begin = block.index() % parts * share;
    const uint64_t size = source.size_of(group), end = size - begin < share ? size : begin + share;
    if (begin >= size) return;
    uint32_t* const near = block.shared<uint32_t>(head_bytes);
    for (uint64_t i = uint64_t(block.thread()); i < window * (1 + parts_of_low); i += threads) near[i] = 0;
    Cursor cursor(source, group);
    Counts mine;
    for (uint64_t first = begin; first < end; first += round) {
      const uint64_t stop = end - first < round ? end : first + round;
      const uint64_t lowest = lowest_near(block, cursor, first, stop);
      count(block, cursor, group, first, stop, lowest, mine);
      block.sync();
      drain(block, group, lowest);
      block.sync();
    }
    report(block, group, mine);
  }

 private:
  struct Counts {
    uint64_t live = 0, zeros = 0, largest = 0;
    uint64_t bucket = 0, count = 0, lows = 0;  // neighbours in one bucket
  };
  static constexpr K mask = K(~K(0)) >> 1;

  PQI_DEVICE int low_bits() const { return table.grid().low_bits(); }

  PQI_DEVICE K bits_of(Cursor& cursor, uint64_t i) const {
    if constexpr (sizeof(K) == 4) return cursor.bits<uint32_t>(i);
    if constexpr (sizeof(K) == 8)
      return source.dtype == DType::f64 ? cursor.bits<uint64_t>(i) : bits_as<uint64_t>(cursor.number<double>(i));
  }

  PQI_DEVICE static uint64_t larger(Block& block, uint64_t value) {
    for (int delta = warp_size / 2; delta > 0; delta /= 2) {
      const uint64_t other = block.shuffle_xor(value, delta);
      value = value < other ? other : value;
    }
    return value;
  }
  PQI_DEVICE static uint64_t sum(Block& block, uint64_t value) {
    for (int delta = warp_size / 2; delta > 0; delta /= 2) value += block.shuffle_xor(value, delta);
    return value;
  }

  // The lowest bucket in shared memory: the highest lies two binades above the largest of the first few elements.
  PQI_DEVICE uint64_t lowest_near(Block& block, Cursor& cursor, uint64_t first, uint64_t stop) const {
    uint64_t* const shared = block.shared<uint64_t>();
    if (block.thread() == 0) *shared = 0;
    block.sync();
    const uint64_t i = first + uint64_t(block.thread());
    const K key = i < stop && cursor.live(i) ? bits_of(cursor, i) & mask : K(0);
    const bool finite = (key >> Table::mantissa_bits) < Table::binades - 1;
    const uint64_t top = larger(block, finite ? uint64_t(key) : 0);
    if (block.lane() == 0) block.max(shared, top);
    block.sync();
    const uint64_t above = ((*shared >> Table::mantissa_bits) + 3) << table.bits;
    return above > window ? above - window : 0;
  }

  PQI_DEVICE void count(Block& block, Cursor& cursor, uint64_t group, uint64_t first, uint64_t stop, uint64_t lowest,
                        Counts& mine) const {
    for (uint64_t i = first + uint64_t(block.thread()) * at_once; i < stop; i += threads * at_once) {
      const uint64_t n = stop - i < at_once ? stop - i : at_once;
      const char* const direct = n == at_once ? cursor.direct(Table::dtype, i, n) : nullptr;
      if (direct != nullptr) {
        struct alignas(16) Load {
          K x[16 / sizeof(K)];
        };
        Load loads[2];
        PQI_UNROLL for (int l = 0; l < 2; ++l) loads[l] = reinterpret_cast<const Load*>(direct)[l];
        PQI_UNROLL for (int l = 0; l < 2; ++l) PQI_UNROLL for (int j = 0; j < int(16 / sizeof(K)); ++j)
            add(block, group, loads[l].x[j], lowest, mine);
      } else {
        for (uint64_t j = i; j < i + n; ++j)
          if (cursor.live(j)) add(block, group, bits_of(cursor, j), lowest, mine);
      }
    }
    flush(block, group, lowest, mine);
  }

  PQI_DEVICE void add(Block& block, uint64_t group, K bits, uint64_t lowest, Counts& mine) const {
    const K key = bits & mask;
    ++mine.live;
    if (key == 0) {
      ++mine.zeros;
      return;
    }
    const uint64_t capped = key_rule<K>(Table::dtype)(bits), bucket = uint64_t(key) >> low_bits();
    mine.largest = mine.largest < capped ? capped : mine.largest;
    if (bucket != mine.bucket) {
      flush(block, group, lowest, mine);
      mine.bucket = bucket;
    }
    ++mine.count;
    mine.lows += uint64_t(key) & ((uint64_t(1) << low_bits()) - 1);
  }

  PQI_DEVICE void flush(Block& block, uint64_t group, uint64_t lowest, Counts& mine) const {
    const uint64_t at = mine.bucket - lowest;
    if (mine.count == 0) return;
    if (at < window) {
      uint32_t* const near = block.shared<uint32_t>(head_bytes);
      block.add(near + at, uint32_t(mine.count));
      constexpr uint64_t part = (uint64_t(1) << part_bits) - 1;
      PQI_UNROLL for (int p = 0; p < parts_of_low; ++p) {
        const uint64_t rest = mine.lows >> p * part_bits;
        block.add(near + window * uint64_t(1 + p) + at, uint32_t(p + 1 < parts_of_low ? rest & part : rest));
      }
    } else {
      table.add(block, group, mine.bucket, mine.count, mine.lows);
    }
    mine.count = mine.lows = 0;
  }

  // Hands over what was counted in shared memory, and clears it.
  PQI_DEVICE void drain(Block& block, uint64_t group, uint64_t lowest) const {
    uint32_t* const near = block.shared<uint32_t>(head_bytes);
    for (uint64_t i = uint64_t(block.thread()); i < window; i += threads) {
      if (near[i] == 0) continue;
      uint64_t lows = 0;
      for (int p = parts_of_low; p-- > 0;) {
        uint32_t* const at = near + window * uint64_t(1 + p) + i;
        lows = (lows << part_bits) + *at;
        *at = 0;
      }
      table.add(block, group, lowest + i, near[i], lows);
      near[i] = 0;
    }
  }

  PQI_DEVICE void report(Block& block, uint64_t group, const Counts& mine) const {
    const uint64_t live = sum(block, mine.live), zeros = sum(block, mine.zeros), largest = larger(block, mine.largest);
    if (block.lane() != 0) return;
    uint64_t* const head = table.heads + group * Table::head_words;
    block.add(head, live);
    block.add(head + 1, zeros);
    block.max(head + 2, largest);
  }
};

}  // namespace pqi::cuda
