// Chunk sums of general powers of float32, in the order of ../../reduction.hpp. Included by kernels.cpp alone.
//
// Two loops by turns, over as many elements as leave their logarithms in the first cache: one takes logarithms, the
// other, once an exponent, exponentials. Either keeps its tables and coefficients in registers, as one loop could not.
#pragma once

#include "../kernels.hpp"
#include "../read_ahead.hpp"
#include "wide_lanes.hpp"

namespace pqi::cpu {
namespace {

inline constexpr size_t stretch_size = 1024;  // elements
inline constexpr size_t most_exponents = 32;  // at a time

// Of a stretch's whole rows; the least and the largest bits seen. Asks for what lies `ahead` elements on, and twice as
// far: the loop over the next stretch begins too late for the processor to read ahead by itself.
struct FloatExtent {
  int32_t least, largest;
};
inline __attribute__((always_inline)) FloatExtent take_logarithms(const float* x, size_t n, size_t ahead, double shift,
                                                                  double* logarithms) {
  using Lanes = WideLanes;
  Lanes::FloatBits least = Lanes::FloatBits{} + 0x7fffffff, largest{};
  for (size_t i = 0; i < n; i += vector_lanes) {
    read_ahead(x + i + ahead, x + i + 2 * ahead);
    const auto bits = Lanes::load<Lanes::FloatBits>(x + i) & 0x7fffffff;
    least = bits < least ? bits : least;
    largest = bits > largest ? bits : largest;
    Lanes::store(logarithms + i, quick_log2<Lanes>(Lanes::widened(bits), shift));
  }
  FloatExtent extent{least[0], largest[0]};
  for (int j = 1; j < vector_lanes; ++j) {
    extent.least = extent.least < least[j] ? extent.least : least[j];
    extent.largest = extent.largest > largest[j] ? extent.largest : largest[j];
  }
  return extent;
}

// Adds 2^(r·logarithm) to the lanes' sums, of whole rows; with zeros, logarithms below `floor` stand for powers of 0.
template <bool zeros>
inline __attribute__((always_inline)) void add_powers(const double* logarithms, size_t n, double r, double floor,
                                                      double sums[lanes]) {
  using Lanes = WideLanes;
  using Number = Lanes::Number;
  const auto power = [r, floor](const double* from) {
    const auto logarithm = Lanes::load<Number>(from);
    if constexpr (!zeros) return quick_exp2<Lanes>(r * logarithm);
    const auto live = bits_as<Lanes::Bits>(logarithm >= floor);
    const auto masked = [&live](Number x) { return bits_as<Number>(bits_as<Lanes::Bits>(x) & live); };
    return masked(quick_exp2<Lanes>(r * masked(logarithm)));
  };
  for (int j = 0; j < lanes; j += 2 * vector_lanes) {
    auto a = Lanes::load<Number>(sums + j), b = Lanes::load<Number>(sums + j + vector_lanes);
    for (size_t i = size_t(j); i < n; i += lanes) {
      a += power(logarithms + i);
      b += power(logarithms + i + vector_lanes);
    }
    Lanes::store(sums + j, a);
    Lanes::store(sums + j + vector_lanes, b);
  }
}

// Σ|x|^r · 2^(−r·shift) for float32 whose powers stay in range at this scale; false if an element is not finite.
bool some_general_sums(const float* x, size_t n, const double* r, double shift, size_t exponents, double* out) {
  alignas(64) double sums[most_exponents][lanes], logarithms[stretch_size];
  for (size_t e = 0; e < exponents; ++e)
    for (int j = 0; j < lanes; ++j) sums[e][j] = 0.0;
  const double floor = -512.0 - shift;  // above the logarithm of 0, below that of any other
  bool finite = true;
  for (size_t begin = 0; begin < n; begin += stretch_size) {
    const size_t size = n - begin < stretch_size ? n - begin : stretch_size, whole = size / lanes * lanes;
    FloatExtent extent = take_logarithms(x + begin, whole, stretch_size, shift, logarithms);
    finite &= extent.largest < 0x7f800000;
    size_t rows = whole;
    if (whole < size) {
      float padded[lanes] = {};
      for (size_t i = whole; i < size; ++i) padded[i - whole] = x[begin + i];
      finite &= take_logarithms(padded, lanes, 0, shift, logarithms + whole).largest < 0x7f800000;
      extent.least = 0;
      rows += lanes;
    }
    for (size_t e = 0; e < exponents; ++e) {
      if (extent.least == 0) {
        add_powers<true>(logarithms, rows, r[e], floor, sums[e]);
      } else {
        add_powers<false>(logarithms, rows, r[e], floor, sums[e]);
      }
    }
  }
  for (size_t e = 0; e < exponents; ++e) out[e] = fold(sums[e]);
  return finite;
}

bool general_float(const float* x, size_t n, const double* r, double shift, size_t exponents, double* out) {
  bool finite = true;
  for (size_t e = 0; e < exponents && finite; e += most_exponents) {
    const size_t count = exponents - e < most_exponents ? exponents - e : most_exponents;
    finite = some_general_sums(x, n, r + e, shift, count, out + e);
  }
  return finite;
}

}  // namespace
}  // namespace pqi::cpu
