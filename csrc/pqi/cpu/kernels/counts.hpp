// Ranked sums of counted 16-bit values. Included by kernels.cpp alone.
#pragma once

#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

// With C(v) how many of the n values are ≤ v, their sum is Σ_v (n − C(v)) and that of their pairwise differences
// Σ_v C(v)·(n − C(v)). Each lane adds up C and C² as if its stretch were the first, a few values at a time in 16 bits;
// what lies before a stretch, known at the end, enters by (B + C)² = B² + 2BC + C².
CountedValues rank_counts(const uint8_t* counts) {
  constexpr int stretches = 32, steps = 65536 / stretches;
  constexpr int few = 16;  // 255 · (1 + 2 + … + 16) fits 16 bits
  uint32_t before[stretches] = {};
  uint64_t sums[stretches] = {}, squares[stretches] = {};
  for (int first = 0; first < steps; first += few) {
    uint16_t here[stretches] = {}, sum[stretches] = {};
    uint32_t square[stretches] = {};
    for (int t = first; t < first + few; ++t) {
      const uint8_t* const row = counts + t * stretches;
#pragma omp simd
      for (int l = 0; l < stretches; ++l) {
        here[l] = uint16_t(here[l] + row[l]);
        sum[l] = uint16_t(sum[l] + here[l]);
        square[l] += uint32_t(here[l]) * here[l];
      }
    }
#pragma omp simd
    for (int l = 0; l < stretches; ++l) {
      const uint64_t start = before[l];
      sums[l] += few * start + sum[l];
      squares[l] += start * (few * start + 2 * uint64_t(sum[l])) + square[l];
      before[l] += here[l];
    }
  }
  uint64_t n = 0, all = 0, all_squares = 0;
  for (int l = 0; l < stretches; ++l) {
    all += steps * n + sums[l];
    all_squares += n * (steps * n + 2 * sums[l]) + squares[l];
    n += before[l];
  }
  return {n, 65536 * n - all, n * all - all_squares};
}

}  // namespace
}  // namespace pqi::cpu
