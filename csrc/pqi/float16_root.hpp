// Roots of float16 magnitudes, with relative errors below 1.4e-14, by float32 operations: what their exact sums add up.
// Correctly rounded float64 roots take vector units twice as long.
//
// x = m·4^k with m from [2^47, 2^49) has the root (s + c)·2^k, where s = √m in float32 and c is the residual m − s²
// times 1/(2√m), of which a cubic in each of 32 intervals knows 21 bits, rounded to a multiple of 2^-23. Fused
// operations are part of this definition: every target has them, or computes them.
#pragma once

#include "power.hpp"

namespace pqi::float16_root {

inline constexpr int fraction_bits = 23;  // c is a multiple of 2^-fraction_bits
inline constexpr int intervals = 32;      // of m, sixteen to an octave

// The upper bits of m, and of u = m·2^-48, as float32 numbers of an even octave: a code's lowest exponent bit and its
// mantissa stand below.
inline constexpr uint32_t base_exponent = 127 + 47, unit_exponent = 127 - 1;

// 2^fraction_bits/(2√m) ≈ ((three·u + two)·u + one)·u + zero.
struct Slopes {
  float zero[intervals], one[intervals], two[intervals], three[intervals];
};

PQI_HD constexpr double newton_root(double x) {
  double root = 1.0;
  for (int i = 0; i < 8; ++i) root = (root + x / root) / 2;
  return root;
}

// The series of 1/√(1 + t) about an interval's middle, whose term of fourth power lower ones stand for, as Chebyshev's
// polynomials tell: t⁴ ≈ h²t² − h⁴/8 for |t| ≤ h.
PQI_HD constexpr Slopes slopes_of_intervals() {
  Slopes slopes{};
  for (int i = 0; i < intervals; ++i) {
    const double place = 16 + i % 16 + 0.5, h = 0.5 / place;  // half an interval, of its middle
    const double middle = place / 32 * (1 + i / 16);          // of u
    const double value = 0x1p-25 * (1 << fraction_bits) / newton_root(middle);
    const double a = 1.0 - 35.0 / 1024 * h * h * h * h, b = -1.0 / 2, c = 3.0 / 8 + 35.0 / 128 * h * h, d = -5.0 / 16;
    // t = u/middle − 1.
    slopes.zero[i] = float(value * (a - b + c - d));
    slopes.one[i] = float(value * (b - 2 * c + 3 * d) / middle);
    slopes.two[i] = float(value * (c - 3 * d) / middle / middle);
    slopes.three[i] = float(value * d / middle / middle / middle);
  }
  return slopes;
}

// s + c in units of 2^-fraction_bits, a whole number, of the m with these float32 bits.
PQI_HD int64_t whole(uint32_t bits, const Slopes& slopes) {
  const uint32_t i = bits >> 19 & (intervals - 1);
  const float m = bits_as<float>(bits), u = bits_as<float>(bits - ((base_exponent - unit_exponent) << 23));
  const float square = __builtin_fmaf(__builtin_fmaf(slopes.three[i], u, slopes.two[i]), u, slopes.one[i]);
  const float s = float_root(m), c = root_residual(m, s) * __builtin_fmaf(square, u, slopes.zero[i]);
  constexpr double magic = 0x1.8p52;  // leaves whole numbers, ties to even
  return (int64_t(s) << fraction_bits) + int64_t((double(c) + magic) - magic);
}

// Of a positive, finite float16 magnitude.
PQI_HD double of(double x) {
  constexpr Slopes slopes = slopes_of_intervals();
  const auto bits = bits_as<uint64_t>(x);
  const int exponent = int(bits >> 52) - 1023, odd = exponent & 1;
  // 2^48 for an even exponent, 2^47 for an odd one.
  const int64_t root = whole((base_exponent + 1 - uint32_t(odd)) << 23 | uint32_t(bits >> 29 & 0x7fffff), slopes);
  return double(root) * exact_power_of_two((exponent - 48 + odd) / 2 - fraction_bits);
}

}  // namespace pqi::float16_root
