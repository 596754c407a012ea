// Tables that count keys by bucket: one addition counts a key and adds its low.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "../gini_sketch.hpp"
#include "read_ahead.hpp"
#include "workspace.hpp"

namespace pqi::cpu {

// A counter's upper 24 bits count, the lower 40 add up lows of at most 15 bits: both hold for so many keys.
inline constexpr uint64_t sketch_keys_before_drain = (uint64_t(1) << 24) - 1;
inline constexpr uint64_t sketch_one = uint64_t(1) << 40;

// float32: a flat table.
template <int low_bits>
class FloatCounter {
 public:
  void add(const uint32_t* bits, size_t n) {
    uint64_t* const table = table_.data();
    const auto count = [table](uint32_t element) {
      const uint32_t key = element & 0x7fffffffu;
      table[key >> low_bits] += sketch_one | (key & low_mask);
    };
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
      read_ahead(bits + i);
      for (size_t j = 0; j < 16; ++j) count(bits[i + j]);
    }
    for (; i < n; ++i) count(bits[i]);
  }

  // Changes whenever a zero is counted.
  uint64_t first() const { return table_[0]; }

  // Hands the counts over in ascending order and starts anew.
  std::vector<SketchBucket> drain() {
    std::vector<SketchBucket> found;
    for (size_t bucket = 0; bucket < table_.size(); ++bucket) {
      if (table_[bucket] == 0) continue;
      const uint64_t counter = std::exchange(table_[bucket], 0);
      found.push_back({bucket, counter / sketch_one, counter % sketch_one});
    }
    return found;
  }

 private:
  static constexpr uint32_t low_mask = (uint32_t(1) << low_bits) - 1;
  Buffer<uint64_t> table_ = Buffer<uint64_t>(size_t(1) << (31 - low_bits), 0);
};

// float64: a page for each binade that occurs; the low's upper 15 bits are added with the count, the rest beside it.
template <int low_bits>
class DoubleCounter {
  static constexpr int rest_bits = low_bits - 15;

 public:
  void add(const uint64_t* bits, size_t n) {
    for (size_t i = 0; i < n; ++i) {
      if (i % 8 == 0) read_ahead(bits + i);
      const uint64_t key = bits[i] & 0x7fffffffffffffffull, low = key & low_mask;
      Page& page = pages_[key >> 52];
      if (page == nullptr) page = std::make_unique<Counter[]>(size_t(1) << (52 - low_bits));
      Counter& counter = page[key >> low_bits & page_mask];
      counter.packed += sketch_one | low >> rest_bits;
      counter.rest += low & rest_mask;
    }
  }

  uint64_t first() const { return pages_[0] == nullptr ? 0 : pages_[0][0].packed; }

  std::vector<SketchBucket> drain() {
    std::vector<SketchBucket> found;
    for (size_t binade = 0; binade < pages_.size(); ++binade) {
      if (pages_[binade] == nullptr) continue;
      for (size_t place = 0; place <= page_mask; ++place) {
        const Counter counter = std::exchange(pages_[binade][place], Counter{});
        if (counter.packed == 0) continue;
        found.push_back({binade << (52 - low_bits) | place, counter.packed / sketch_one,
                         (uint128(counter.packed % sketch_one) << rest_bits) + counter.rest});
      }
    }
    return found;
  }

 private:
  struct Counter {
    uint64_t packed = 0, rest = 0;
  };
  using Page = std::unique_ptr<Counter[]>;
  static constexpr uint64_t low_mask = (uint64_t(1) << low_bits) - 1, rest_mask = (uint64_t(1) << rest_bits) - 1,
                            page_mask = (uint64_t(1) << (52 - low_bits)) - 1;
  std::vector<Page> pages_ = std::vector<Page>(2048);
};

}  // namespace pqi::cpu
