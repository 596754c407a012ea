// Roots of float16 magnitudes, with relative errors below 1.5e-13, by float32 operations: what their exact sums add up.
// Correctly rounded float64 roots take vector units twice as long.
//
// x = m·4^k with m from [2^47, 2^49) has the root (s + c)·2^k, where s = √m in float32 and c is the residual m − s²
// times 1/(2√m), of which a quadratic in each of 32 intervals knows 18 bits, rounded to a multiple of 2^-20. Fused
// operations are part of this definition: every target has them, or computes them.
#pragma once

#include "power.hpp"

namespace pqi::float16_root {

inline constexpr int fraction_bits = 20;  // c is a multiple of 2^-fraction_bits
inline constexpr int intervals = 32;      // of m, sixteen to an octave

// The upper bits of an m as a float32, from an even octave: a code's lowest exponent bit and its mantissa stand below.
inline constexpr uint32_t base_exponent = 127 + 47;

// 2^fraction_bits/(2√m) ≈ (two·m + one)·m + zero.
struct Slopes {
  float zero[intervals], one[intervals], two[intervals];
};

PQI_HD constexpr double newton_root(double x) {
  double root = 1.0;
  for (int i = 0; i < 8; ++i) root = (root + x / root) / 2;
  return root;
}

// The series of 1/√x about an interval's middle, whose cubic term a linear one stands for, as Chebyshev's polynomials
// tell: t³ ≈ ¾h²t for |t| ≤ h.
PQI_HD constexpr Slopes slopes_of_intervals() {
  Slopes slopes{};
  for (int i = 0; i < intervals; ++i) {
    const double place = 16 + i % 16 + 0.5, reach = 0.5 / place;  // half an interval, of its middle
    const double middle = place / 32 * (1 + i / 16);              // of m·2^-48
    const double value = 0x1p-25 * (1 << fraction_bits) / newton_root(middle);
    const double linear = 1.0 / 2 + 15.0 / 64 * reach * reach, square = 3.0 / 8;
    slopes.zero[i] = float(value * (1 + linear + square));
    slopes.one[i] = float(-value * (linear + 2 * square) / middle * 0x1p-48);
    slopes.two[i] = float(value * square / middle / middle * 0x1p-96);
  }
  return slopes;
}

// s and c·2^fraction_bits, both whole numbers, of the m with these float32 bits.
struct Parts {
  int32_t root, correction;
};
PQI_HD Parts parts(uint32_t bits, const Slopes& slopes) {
  const uint32_t interval = bits >> 19 & (intervals - 1);
  const float m = bits_as<float>(bits), s = float_root(m);
  const float slope =
      __builtin_fmaf(__builtin_fmaf(slopes.two[interval], m, slopes.one[interval]), m, slopes.zero[interval]);
  constexpr float magic = 0x1.8p23f;  // leaves whole numbers, ties to even
  return {int32_t(s), int32_t(__builtin_fmaf(root_residual(m, s), slope, magic) - magic)};
}

// Of a positive, finite float16 magnitude.
PQI_HD double of(double x) {
  constexpr Slopes slopes = slopes_of_intervals();
  const auto bits = bits_as<uint64_t>(x);
  const int exponent = int(bits >> 52) - 1023, odd = exponent & 1;
  // 2^48 for an even exponent, 2^47 for an odd one.
  const Parts p = parts((base_exponent + 1 - uint32_t(odd)) << 23 | uint32_t(bits >> 29 & 0x7fffff), slopes);
  const double root = double(p.root) + double(p.correction) * exact_power_of_two(-fraction_bits);
  return root * exact_power_of_two((exponent - 48 + odd) / 2);
}

}  // namespace pqi::float16_root
