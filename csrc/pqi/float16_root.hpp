// Roots of float16 magnitudes, with relative errors below 1.2e-14, by float32 operations: what their exact sums add up.
// Correctly rounded float64 roots take vector units twice as long.
//
// x = m·4^k with m from [2^47, 2^49) has the root (s + c/2)·2^k, where s = √m in float32 and c is the residual m − s²
// times 1/s, at most 1.9931, rounded to a multiple of 2^-21. Of 1/s each of 32 intervals of m knows a near number w,
// and with the rest e = 1 − s·w it is w(1 + e)(1 + e²) but for e⁴. Fused operations are part of this definition: every
// target has them, or computes them.
#pragma once

#include "power.hpp"

namespace pqi::float16_root {

inline constexpr int fraction_bits = 22;  // c/2 is a multiple of 2^-fraction_bits
inline constexpr int intervals = 32;      // of m, sixteen to an octave

// The upper bits of m as a float32 number of an even octave: a code's lowest exponent bit and its mantissa stand below.
inline constexpr uint32_t base_exponent = 127 + 47;

PQI_HD constexpr double newton_root(double x) {
  double root = 1.0;
  for (int i = 0; i < 8; ++i) root = (root + x / root) / 2;
  return root;
}

// 1/√m of the middle of each interval.
struct Reciprocals {
  float of[intervals];
};
PQI_HD constexpr Reciprocals reciprocals_of_intervals() {
  Reciprocals reciprocals{};
  for (int i = 0; i < intervals; ++i)
    reciprocals.of[i] = float(0x1p-24 / newton_root((16 + i % 16 + 0.5) / 32 * (1 + i / 16)));
  return reciprocals;
}

// s + c/2 in units of 2^-fraction_bits, a whole number, of the m with these float32 bits.
PQI_HD int64_t whole(uint32_t bits, const Reciprocals& reciprocals) {
  const float m = bits_as<float>(bits), s = root(m), w = reciprocals.of[bits >> 19 & (intervals - 1)];
  const float e = __builtin_fmaf(-s, w, 1.0f), first = root_residual(m, s) * w;
  const double c = double(__builtin_fmaf(first, e, first)) * double(__builtin_fmaf(e, e, 1.0f));
  constexpr double magic = 0x1.8p52 / (1 << (fraction_bits - 1));  // leaves whole multiples, ties to even
  return (int64_t(s) << fraction_bits) + int64_t(((c + magic) - magic) * (1 << (fraction_bits - 1)));
}

// Of a positive, finite float16 magnitude.
PQI_HD double of(double x) {
  constexpr Reciprocals reciprocals = reciprocals_of_intervals();
  const auto bits = bits_as<uint64_t>(x);
  const int exponent = int(bits >> 52) - 1023, odd = exponent & 1;
  // 2^48 for an even exponent, 2^47 for an odd one.
  const int64_t root = whole((base_exponent + 1 - uint32_t(odd)) << 23 | uint32_t(bits >> 29 & 0x7fffff), reciprocals);
  return double(root) * exact_power_of_two((exponent - 48 + odd) / 2 - fraction_bits);
}

}  // namespace pqi::float16_root
