// Ranked sums of the 16-bit lows of one partition, in integers.
#pragma once

#include "../gini.hpp"
#include "isa.hpp"
#include "parallel.hpp"
#include "radix_sort.hpp"
#include "read_ahead.hpp"
#include "workspace.hpp"

namespace pqi::cpu {

constexpr size_t counted_from = size_t(1) << 12;  // shorter partitions are sorted, longer ones counted
constexpr size_t low_values = size_t(1) << 16;

// Σ l and Σ j·l over ascending lows, j = 1 … n.
struct LowSums {
  uint64_t sum = 0;
  uint128 ranked = 0;
};

inline LowSums sums_of_sorted(const uint16_t* low, size_t n) {
  LowSums sums;
  uint64_t ranked = 0;
  for (size_t j = 0; j < n; ++j) {
    sums.sum += low[j];
    ranked += uint64_t(j + 1) * low[j];
  }
  sums.ranked = ranked;
  return sums;
}

template <class Count>
LowSums sums_of_counts(const Count* counts) {
  LowSums sums;
  uint64_t rank = 0;
  for (uint64_t low = 0; low < low_values; ++low) {
    const uint64_t n = counts[low];
    if (n == 0) continue;
    sums.sum += low * n;
    sums.ranked += uint128(low) * (uint128(rank) * n + uint128(n) * (n + 1) / 2);
    rank += n;
  }
  return sums;
}

// Counts a partition of one value range on all threads.
inline LowSums count_large(const uint16_t* low, size_t n) {
  const size_t step = size_t(1) << 20, tasks = (n + step - 1) / step;
  const int threads = num_threads();
  std::vector<Buffer<uint64_t>> counts(static_cast<size_t>(threads));
  parallel_for(tasks, threads, [&](size_t task, int thread) {
    auto& mine = counts[size_t(thread)];
    mine.resize(low_values, 0);
    for (size_t i = task * step, end = std::min(i + step, n); i < end; ++i) ++mine[low[i]];
  });
  Buffer<uint64_t> total(low_values, 0);
  for (const auto& mine : counts)
    for (size_t i = 0; i < mine.size(); ++i) total[i] += mine[i];
  return sums_of_counts(total.data());
}

// One thread's buffers for the ranked sums of a partition: sorted while short, then counted in bytes, and in words
// where a value is so frequent that its byte overflows.
class LowRanker {
 public:
  LowSums rank(uint16_t* low, size_t n) {
    if (n >= counted_from) return count(low, n);
    buffer_.resize(counted_from);
    radix_sort(low, buffer_.data(), n);
    return sums_of_sorted(low, n);
  }

 private:
  // A byte that overflowed is missing 256 of the n values.
  LowSums count(const uint16_t* low, size_t n) {
    constexpr size_t step = 32;
    bytes_.assign(low_values, 0);
    uint8_t* const bytes = bytes_.data();
    const auto place = [](uint16_t value) { return uint16_t(value << 5 | value >> 11); };
    size_t i = 0;
    for (; i + step <= n; i += step) {
      read_ahead(low + i);
      for (size_t j = i; j < i + step; ++j) ++bytes[place(low[j])];
    }
    for (; i < n; ++i) ++bytes[place(low[i])];
    const CountedValues counted = kernels().rank_counts(bytes);
    if (counted.count == n) return {counted.sum, (uint128(counted.differences) + uint128(n + 1) * counted.sum) / 2};
    words_.assign(low_values, 0);
    for (size_t k = 0; k < n; ++k) ++words_[low[k]];
    return sums_of_counts(words_.data());
  }

  Buffer<uint16_t> buffer_;
  Buffer<uint8_t> bytes_;
  Buffer<uint32_t> words_;
};

}  // namespace pqi::cpu
