// Ranked sums of sorted columns, pairwise differences of counts. Included by kernels.cpp alone.
#pragma once

#include "../kernels.hpp"
#include "network.hpp"

namespace pqi::cpu {
namespace {

// hi + lo += x, exactly up to rounding lo.
inline void add_exactly(double x, double& hi, double& lo) {
  const double sum = hi + x, back = sum - hi;
  lo += (hi - (sum - back)) + (x - back);
  hi = sum;
}

// Adds a magnitude, whose rank has this weight, to a lane's sums. The weight has few bits, so its products with the
// halves of a double are exact.
template <class Number, class Signed>
inline __attribute__((always_inline)) void add_ranked(Signed key, double factor, double weight, size_t lane,
                                                      RankedLanes* out) {
  const double value = double(bits_as<Number>(key)) * factor;
  add_exactly(value, out->sum_hi[lane], out->sum_lo[lane]);
  const double upper = bits_as<double>(bits_as<uint64_t>(value) & 0xfffffffff8000000ull);
  add_exactly(weight * upper, out->ranked_hi[lane], out->ranked_lo[lane]);
  if (sizeof(Number) == 8) add_exactly(weight * (value - upper), out->ranked_hi[lane], out->ranked_lo[lane]);
}

// Keys are below 2^31 or 2^63, so signed comparisons, which every instruction set has, order them.
template <class Signed, class Number>
void rank_columns(Signed* tile, size_t width, const double* live, RankedLanes* out) {
  sort_columns(tile, width);
  double factor[lanes];
  const Signed* last = tile + (width - 1) * lanes;
  for (int j = 0; j < lanes; ++j) {
    out->ranked_hi[j] = out->ranked_lo[j] = out->sum_hi[j] = out->sum_lo[j] = 0.0;
    out->largest[j] = uint64_t(last[j]);
    factor[j] =
        sizeof(Number) == 4 ? 1.0 : exact_power_of_two(-scale_of(0.0, binade(double(bits_as<Number>(last[j])))));
  }
  for (size_t i = 0; i < width; ++i) {
    const double rank = 2.0 * (double(i) + 1.0 - double(width)) - 1.0;
#pragma omp simd
    for (int j = 0; j < lanes; ++j)
      add_ranked<Number>(tile[i * lanes + size_t(j)], factor[j], rank + live[j], size_t(j), out);
  }
}

void rank_floats(uint32_t* tile, size_t width, const double* live, RankedLanes* out) {
  rank_columns<int32_t, float>(reinterpret_cast<int32_t*>(tile), width, live, out);
}

void rank_doubles(uint64_t* tile, size_t width, const double* live, RankedLanes* out) {
  rank_columns<int64_t, double>(reinterpret_cast<int64_t*>(tile), width, live, out);
}

uint64_t pairwise_differences(const uint8_t* counts, uint32_t n) {
  constexpr size_t steps = 65536 / lanes;
  uint32_t below[lanes] = {};
  for (size_t t = 0; t < steps; ++t)
    for (int l = 0; l < lanes; ++l) below[l] += counts[t * lanes + size_t(l)];
  uint32_t total = 0;
  for (int l = 0; l < lanes; ++l) {
    const uint32_t here = below[l];
    below[l] = total;
    total += here;
  }
  uint64_t sums[lanes] = {};
  for (size_t t = 0; t < steps; ++t) {
#pragma omp simd
    for (int l = 0; l < lanes; ++l) {
      below[l] += counts[t * lanes + size_t(l)];
      sums[l] += uint64_t(below[l]) * uint64_t(n - below[l]);
    }
  }
  uint64_t sum = 0;
  for (int l = 0; l < lanes; ++l) sum += sums[l];
  return sum;
}

}  // namespace
}  // namespace pqi::cpu
