// Ranked sums by binade, in integers: what many threads found in any order adds up to the runs of ../gini.hpp.
#pragma once

#include "../gini.hpp"
#include "source.hpp"

namespace pqi::cuda {

inline constexpr int binades = 2048;  // slots of a group, one for each exponent a magnitude can have
inline constexpr int lowest_exponent = -1074;
inline constexpr int run_words = 9;  // count, and Σ m and Σ k·m in 32-bit limbs that don't overflow
inline constexpr int sum_at = 1, ranked_at = 5;

// A thread's own share of one binade, k being ranks in the whole group.
struct OpenRun {
  int slot = -1;
  uint64_t count = 0;
  uint128 sum = 0, ranked = 0;
};

PQI_DEVICE int slot_of(const Magnitude& m) { return m.exponent - lowest_exponent; }

PQI_DEVICE void add_limbs(Block& block, uint64_t* to, uint128 value) {
  for (int i = 0; i < 4; ++i, value >>= 32)
    if (uint32_t(value) != 0) block.add(to + i, uint64_t(uint32_t(value)));
}

// Adds a share to `slots`.
PQI_DEVICE void close_run(Block& block, const OpenRun& run, uint64_t* slots) {
  if (run.slot < 0 || run.count == 0) return;
  uint64_t* const words = slots + run.slot * run_words;
  block.add(words, run.count);
  add_limbs(block, words + sum_at, run.sum);
  add_limbs(block, words + ranked_at, run.ranked);
}

PQI_DEVICE uint128 from_limbs(const uint64_t* limbs) {
  uint128 value = 0;
  for (int i = 4; i-- > 0;) value = (value << 32) + limbs[i];
  return value;
}

}  // namespace pqi::cuda
