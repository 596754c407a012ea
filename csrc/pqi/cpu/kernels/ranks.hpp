// Ranked sums of sorted columns. Included by kernels.cpp alone.
#pragma once

#include <limits>

#include "../../gini.hpp"
#include "../kernels.hpp"
#include "row_tile.hpp"
#include "wide_lanes.hpp"

namespace pqi::cpu {
namespace {

// hi + lo += x, exactly up to rounding lo.
template <class Vector>
inline __attribute__((always_inline)) void add_exactly(Vector x, Vector& hi, Vector& lo) {
  const Vector sum = hi + x, back = sum - hi;
  lo += (hi - (sum - back)) + (x - back);
  hi = sum;
}

// Sums of sorted columns. Keys are below 2^31 or 2^63, so signed comparisons, which every instruction set has, order
// them.
template <class Number, class Signed>
struct ColumnSums {
  RankedLanes* out;
  double factor[lanes];  // float64 values are scaled by it
  double weight[lanes];  // of the tile's first row

  explicit ColumnSums(RankedLanes* sums) : out(sums) {
    for (int j = 0; j < lanes; ++j) out->ranked_hi[j] = out->ranked_lo[j] = out->sum_hi[j] = out->sum_lo[j] = 0.0;
  }

  // How far apart, in binades, the least and the largest value of a lane's block may be for a plain double to hold all
  // sums of `rows` · lanes places exactly: 24 bits of a value, 4 for sixteen of them, and those of weights up to
  // 2 · rows · lanes + 64.
  static int exact_binades(size_t places) { return 25 - (64 - __builtin_clzll(2 * places + 63)); }

  // Whether a block's values lie so close together; zeros, which come first, do not matter.
  static bool is_exact(const Signed* block, int binades) {
    const Signed limit = Signed(binades) << 23;
    const Signed* const last = block + (block_rows - 1) * lanes;
    int far = 0;
#pragma omp simd reduction(| : far)
    for (int j = 0; j < lanes; ++j) far |= last[j] - block[j] >= limit;
    if (far == 0) return true;
    constexpr Signed largest = std::numeric_limits<Signed>::max();
    Signed least[lanes];
    for (int j = 0; j < lanes; ++j) least[j] = largest;
    for (int i = 0; i < block_rows; ++i)
#pragma omp simd
      for (int j = 0; j < lanes; ++j) {
        const Signed key = block[i * lanes + j];
        least[j] = key != 0 && key < least[j] ? key : least[j];
      }
    far = 0;
#pragma omp simd reduction(| : far)
    for (int j = 0; j < lanes; ++j) far |= last[j] - least[j] >= limit;
    return far == 0;
  }

  // Sums of sums are sums weighted by the distance from the end: two additions an element.
  void add_exact_block(const Signed* block, double ahead) {
    for (int lane = 0; lane < lanes; lane += vector_lanes) {
      WideLanes::Number sum = {}, sums = {};
#pragma GCC unroll 16
      for (int i = 0; i < block_rows; ++i) {
        sum += values(block + i * lanes + lane);
        sums += sum;
      }
      double plain[vector_lanes], weighted[vector_lanes];
      WideLanes::store(plain, sum);
      WideLanes::store(weighted, sums);
#pragma omp simd
      for (int j = 0; j < vector_lanes; ++j) {
        const double last = weight[lane + j] + (ahead + 2.0 * block_rows);
        add_exactly(plain[j], out->sum_hi[lane + j], out->sum_lo[lane + j]);
        add_exactly(last * plain[j] - 2.0 * weighted[j], out->ranked_hi[lane + j], out->ranked_lo[lane + j]);
      }
    }
  }

  // Of any values. A weight has few bits, so its products with the halves of a double are exact.
  void add_block(const Signed* block, double ahead) {
    using Vector = WideLanes::Number;
    for (int lane = 0; lane < lanes; lane += vector_lanes) {
      Vector sum_hi = WideLanes::load<Vector>(out->sum_hi + lane), sum_lo = WideLanes::load<Vector>(out->sum_lo + lane);
      Vector ranked_hi = WideLanes::load<Vector>(out->ranked_hi + lane),
             ranked_lo = WideLanes::load<Vector>(out->ranked_lo + lane);
      for (int i = 0; i < block_rows; ++i) {
        const Vector value = values(block + i * lanes + lane) * WideLanes::load<Vector>(factor + lane);
        const Vector here = WideLanes::load<Vector>(weight + lane) + (ahead + 2.0 * i);
        const Vector upper = bits_as<Vector>(bits_as<WideLanes::Bits>(value) & 0xfffffffff8000000ull);
        add_exactly(value, sum_hi, sum_lo);
        add_exactly(here * upper, ranked_hi, ranked_lo);
        if (sizeof(Number) == 8) add_exactly(here * (value - upper), ranked_hi, ranked_lo);
      }
      WideLanes::store(out->sum_hi + lane, sum_hi);
      WideLanes::store(out->sum_lo + lane, sum_lo);
      WideLanes::store(out->ranked_hi + lane, ranked_hi);
      WideLanes::store(out->ranked_lo + lane, ranked_lo);
    }
  }

  // Adds a tile; `places`: weights are below twice as many.
  void add(const Signed* tile, size_t rows, size_t places) {
    const int binades = exact_binades(places);
    for (size_t base = 0; base < rows; base += block_rows) {
      const Signed* const block = tile + base * lanes;
      const double ahead = 2.0 * double(base);
      if constexpr (sizeof(Number) == 4) {
        is_exact(block, binades) ? add_exact_block(block, ahead) : add_block(block, ahead);
      } else {
        add_block(block, ahead);
      }
    }
  }

 private:
  static WideLanes::Number values(const Signed* keys) {
    if constexpr (sizeof(Number) == 4) {
      return WideLanes::widened(WideLanes::load<WideLanes::FloatBits>(keys));
    } else {
      return WideLanes::load<WideLanes::Number>(keys);
    }
  }
};

template <class Number, class Signed>
double scaling_factor(Signed largest) {
  return sizeof(Number) == 4 ? 1.0 : exact_power_of_two(-scale_of(0.0, binade(double(bits_as<Number>(largest)))));
}

template <class Signed, class Number>
void rank_rows(const void* const* rows, size_t width, const double* live, Signed* tile, double* gini) {
  const size_t height = tile_rows(width);
  load_sorted_columns(RowBlocks<Signed, MagnitudeBits<Signed>>(rows, width, {}), height, tile);
  const Signed* const last = tile + (height - 1) * lanes;
  RankedLanes ranked;
  ColumnSums<Number, Signed> sums(&ranked);
  for (int j = 0; j < lanes; ++j) {
    sums.factor[j] = scaling_factor<Number>(last[j]);
    sums.weight[j] = live[j] + 1.0 - 2.0 * double(height);
  }
  sums.add(tile, height, height);
#pragma omp simd
  for (int j = 0; j < lanes; ++j) {
    const double quotient =
        gini_of_positive({ranked.ranked_hi[j], ranked.ranked_lo[j]}, {ranked.sum_hi[j], ranked.sum_lo[j]}, live[j]);
    const bool defined = double(bits_as<Number>(last[j])) < infinity && ranked.sum_hi[j] > 0.0;
    gini[j] = defined ? quotient : __builtin_nan("");
  }
}

void rank_float_rows(const void* const* rows, size_t width, const double* live, uint32_t* tile, double* gini) {
  rank_rows<int32_t, float>(rows, width, live, reinterpret_cast<int32_t*>(tile), gini);
}

void rank_double_rows(const void* const* rows, size_t width, const double* live, uint64_t* tile, double* gini) {
  rank_rows<int64_t, double>(rows, width, live, reinterpret_cast<int64_t*>(tile), gini);
}

}  // namespace
}  // namespace pqi::cpu
