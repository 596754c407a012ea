// The power sums of one chunk by its four threads: what each adds up of the rows that it is given.
#pragma once

#include <type_traits>

#include "../quick_power.hpp"
#include "chunk.hpp"

namespace pqi::cuda {

// The fold of reduction.hpp over four threads; the result is the first one's.
PQI_DEVICE double fold_quad(Block& block, double* lane) {
  PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) lane[j] += block.shuffle_down(lane[j], 2, quad);
  PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) lane[j] += block.shuffle_down(lane[j], 1, quad);
  return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

template <class T>
PQI_DEVICE T largest_of_quad(Block& block, T value) {
  for (int mask = 1; mask < quad; mask *= 2) {
    const T other = block.shuffle_xor(value, mask, quad);
    value = value < other ? other : value;
  }
  return value;
}

PQI_DEVICE int binade_of_key(uint64_t key) { return key == 0 ? 0 : binade(bits_as<double>(key)); }

// The largest magnitude: of float32 as a number, NaN aside; of float64 by its bits.
PQI_DEVICE float larger(float a, float b) { return a < b ? b : a; }
PQI_DEVICE double larger(double a, double b) { return bits_as<uint64_t>(a) < bits_as<uint64_t>(b) ? b : a; }

// Sums of the exponents ½, 1, 2, each for this thread's lanes, and the largest magnitude.
template <class T>
struct SpecialSums {
  double half[quad_lanes] = {}, one[quad_lanes] = {}, two[quad_lanes] = {};
  T low[quad_lanes] = {}, largest = T(0);

  // `which` of them: 1 << PowerKind of each.
  PQI_DEVICE void add(unsigned which, T factor, const Row<T>& a, const Row<T>& b) {
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) {
      const T x = magnitude(a.x[j]), y = magnitude(b.x[j]), scaled_x = x * factor, scaled_y = y * factor;
      const double wide_x = double(scaled_x), wide_y = double(scaled_y);
      if (which & 1u << int(PowerKind::half)) add_roots(scaled_x, scaled_y, half[j], low[j]);
      if (which & 1u << int(PowerKind::one)) one[j] += wide_x + wide_y;
      if (which & 1u << int(PowerKind::two)) two[j] += wide_x * wide_x + wide_y * wide_y;
      largest = larger(larger(largest, x), y);
    }
  }

  // By PowerKind, on all four threads.
  PQI_DEVICE void fold(Block& block, double out[3]) {
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) half[j] += double(left_aside(low[j]));
    out[0] = block.broadcast(fold_quad(block, half), 0, quad);
    out[1] = block.broadcast(fold_quad(block, one), 0, quad);
    out[2] = block.broadcast(fold_quad(block, two), 0, quad);
  }
};

// x^r·2^(−r·shift) of a magnitude for any number of exponents: its logarithm is taken once. The quick path is for
// exponents up to widest_float_exponent of float32; what it makes of infinity and NaN is of no use.
template <class T, bool quick>
struct Powers {
  T x;
  double logarithm;

  Powers() = default;
  PQI_DEVICE Powers(T of, double shift) : x(of) {
    if constexpr (quick) {
      logarithm = quick_log2<OneLane>(double(of), shift);
    } else {
      const Log2 l = log2_parts(double(of));
      logarithm = (l.exponent - shift) + l.fraction;
    }
  }
  PQI_DEVICE double operator()(double r) const {
    const double product = r * logarithm;
    if constexpr (quick) {
      return bits_as<double>(bits_as<uint64_t>(quick_exp2<OneLane>(product)) & (x == T(0) ? 0 : ~uint64_t(0)));
    } else {
      return x < T(infinity) ? (x == T(0) ? 0.0 : exp2_of(product)) : double(x);
    }
  }
};

// Sums of other exponents, however many: a thread's lanes lie in shared memory, [exponent][lane][thread]. Also the
// largest magnitude, as bits, above which NaN is.
template <class T, bool quick>
struct GeneralSums {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static constexpr size_t bytes(int threads) { return quad_lanes * size_t(threads) * sizeof(double); }

  double* mine;  // this thread's first lane of the first exponent
  uint32_t threads;
  Bits largest = 0;

  PQI_DEVICE double& lane(int e, int j) const { return mine[uint32_t(e * quad_lanes + j) * threads]; }

  PQI_DEVICE void clear(int exponents) const {
    for (int e = 0; e < exponents; ++e) PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) lane(e, j) = 0.0;
  }

  PQI_DEVICE void add(const double* r, int exponents, double shift, const Row<T>& a, const Row<T>& b) {
    Powers<T, quick> x[quad_lanes], y[quad_lanes];
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) {
      x[j] = {magnitude(a.x[j]), shift};
      y[j] = {magnitude(b.x[j]), shift};
      const Bits bits_x = bits_as<Bits>(x[j].x), bits_y = bits_as<Bits>(y[j].x);
      largest = largest < bits_x ? bits_x : largest;
      largest = largest < bits_y ? bits_y : largest;
    }
    for (int e = 0; e < exponents; ++e)
      PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) lane(e, j) = (lane(e, j) + x[j](r[e])) + y[j](r[e]);
  }

  // The first thread's.
  PQI_DEVICE double fold(Block& block, int e) const {
    double lane_sums[quad_lanes];
    PQI_UNROLL for (int j = 0; j < quad_lanes; ++j) lane_sums[j] = lane(e, j);
    return fold_quad(block, lane_sums);
  }

  // As the key of a float64, on all four threads.
  PQI_DEVICE uint64_t largest_key(Block& block) const {
    return bits_as<uint64_t>(double(bits_as<T>(largest_of_quad(block, largest))));
  }
};

}  // namespace pqi::cuda
