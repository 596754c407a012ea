// |x|^r: our own, because libm, CUDA and numpy differ by an ulp and an ulp can flip a floor.
//
// Only IEEE-754 operations that round correctly everywhere (+ − × ÷ √ and integer ones), fused nowhere but where the
// result is exact either way: every compiler must be told not to contract (-ffp-contract=off, -fmad=false). All
// branch-free, so that plain loops vectorise. Relative error of a power: below 1e-15 + 2e-16·|r·log2 x|. Zero gives 0,
// infinity infinity, NaN NaN.
#pragma once

#include <cmath>

#include "portable.hpp"

namespace pqi {

inline constexpr double infinity = __builtin_huge_val();

PQI_HD float magnitude(float x) { return bits_as<float>(bits_as<uint32_t>(x) & 0x7fffffffu); }
PQI_HD double magnitude(double x) { return bits_as<double>(bits_as<uint64_t>(x) & 0x7fffffffffffffffull); }

// 2^k as a double for −1022 ≤ k ≤ 1023.
PQI_HD double exact_power_of_two(int k) { return bits_as<double>(uint64_t(k + 1023) << 52); }

// log2 of a positive finite double as exponent + fraction with |fraction| ≤ 1/2.
struct Log2 {
  double exponent, fraction;
};

// A positive normal number as mantissa · 2^exponent with the mantissa from [√½, √2), so that x near 1 has a small
// logarithm without cancellation.
struct Reduced {
  double exponent, mantissa;
};
PQI_HD Reduced reduced(double x) {
  constexpr uint64_t sqrt_half = 0x3fe6a09e667f3bcdull, one = 0x3ff0000000000000ull;
  const uint64_t shifted = bits_as<uint64_t>(x) + (one - sqrt_half);
  return {bits_as<double>((shifted >> 52) | 0x4330000000000000ull) - (0x1p52 + 1023.0),
          bits_as<double>((shifted & 0x000fffffffffffffull) + sqrt_half)};
}

// Of any positive finite double, subnormals included.
PQI_HD Log2 log2_parts(double x) {
  const bool tiny = x < 0x1p-1022;
  const Reduced r = reduced(tiny ? x * 0x1p54 : x);
  // log2(m) = s·P(s²) with s = (m − 1)/(m + 1): the series of 2·atanh(s)/ln 2, minimax on s² ≤ 0.0295.
  const double s = (r.mantissa - 1.0) / (r.mantissa + 1.0), z = s * s, z2 = z * z;
  const double low = (0x1.ec709dc39ca37p-1 * z + 0x1.71547652b82ffp+1);
  const double middle = (0x1.a617567fc56e7p-2 * z + 0x1.2776c516a1832p-1);
  const double high = (0x1.f17f267f467c8p-3 * z + 0x1.0bb7fe8aa189ep-2) * z + 0x1.484fa9f30746ep-2;
  return {tiny ? r.exponent - 54.0 : r.exponent, s * ((high * z2 + middle) * z2 + low)};
}

// y as an integer and what is left of it, within ±1/2; the integer in the form that `scaled` takes.
struct Rounded {
  double integer, rest;
};
PQI_HD Rounded rounded(double y) {
  constexpr double magic = 0x1.8p52;
  const double integer = y + magic;
  return {integer, y - (integer - magic)};
}
PQI_HD double scaled(double x, Rounded power) {
  return bits_as<double>(bits_as<uint64_t>(x) + (bits_as<uint64_t>(power.integer) << 52));
}

// 2^y for −1022 ≤ y < 1024.
PQI_HD double exp2_core(double y) {
  const Rounded power = rounded(y);
  const double f = power.rest, f2 = f * f, f4 = f2 * f2;
  const double a = 0x1.62e42fefa3a19p-1 * f + 1.0;
  const double b = 0x1.c6b08d703ce49p-5 * f + 0x1.ebfbdff82c598p-3;
  const double c = 0x1.5d87fe9d7a584p-10 * f + 0x1.3b2ab6fba1ddap-7;
  const double d = 0x1.ffcb54062e698p-17 * f + 0x1.430913096fd9fp-13;
  const double e = (0x1.e6063f7217bc6p-28 * f + 0x1.b675bca4eeebbp-24) * f + 0x1.62bfd47773353p-20;
  return scaled(((e * f4 + (d * f2 + c)) * f4) + (b * f2 + a), power);
}

// 2^y for any y; below 2^-1021 the result is 0, from 2^1023.5 infinity.
PQI_HD double exp2_of(double y) {
  const double bounded = y < -1021.0 ? -1021.0 : (y > 1023.5 ? 1023.5 : y);
  const double value = exp2_core(bounded);
  return y < -1021.0 ? 0.0 : (y >= 1023.5 ? infinity : value);
}

// x^r · 2^(−r·shift) for x ≥ 0. The shift acts on the exponent, so nothing overflows on the way.
PQI_HD double power_shifted(double x, double r, double shift) {
  const Log2 l = log2_parts(x);
  const double value = exp2_of(r * ((l.exponent - shift) + l.fraction));
  return x < infinity ? (x == 0.0 ? 0.0 : value) : x;
}

PQI_HD float root(float x) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}

PQI_HD double root(double x) { return ::sqrt(x); }

// x − s² for a correctly rounded root s of x, exactly: a float holds the difference, so a fused operation and a root
// split into halves, whose products are exact, give the same bits. Below 2^-76, where products would leave the normal
// range, it is taken as zero: the root's own rounding does not matter there.
PQI_HD float root_residual(float x, float s) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__CUDA_ARCH__)
  const float residual = __builtin_fmaf(-s, s, x);
#else
  const float high = bits_as<float>(bits_as<uint32_t>(s) & 0xfffff000u), low = s - high;
  const float residual = ((x - high * high) - (high + high) * low) - low * low;
#endif
  return x >= 0x1p-76f ? residual : 0.0f;
}

// √a + √b of two floats from their rounded roots, as sum + rounding + correction to 1e-14, in float operations alone: a
// quarter of what two double roots cost. For magnitudes within 2^-68 … 2^100, which scale_of brings the data near. The
// residuals' quotients by 2s share one division, (r_a·s_b + r_b·s_a) / (2·s_a·s_b); 2^-50 keeps zeros out of the
// denominator (it is lost on any root that matters). The larger root is found by its bits, which every instruction set
// compares in one operation.
template <class T>
struct RootPair {
  T sum, rounding, correction;

  PQI_HD T low() const { return rounding + correction; }
};
PQI_HD RootPair<float> root_pair(float a, float b, float sa, float sb) {
  const float da = sa + 0x1p-50f, db = sb + 0x1p-50f;
  const float correction = (root_residual(a, sa) * db + root_residual(b, sb) * da) / ((da + da) * db);
  const uint32_t ia = bits_as<uint32_t>(sa), ib = bits_as<uint32_t>(sb);
  const float larger = bits_as<float>(ia > ib ? ia : ib), smaller = bits_as<float>(ia > ib ? ib : ia);
  const float sum = sa + sb;
  return {sum, smaller - (sum - larger), correction};
}
PQI_HD RootPair<double> root_pair(double, double, double sa, double sb) { return {sa + sb, 0.0, 0.0}; }

// x^r for x ≥ 0, with correctly rounded special cases: what the last steps use.
PQI_HD double power(double x, double r) {
  if (r == 1.0) return x;
  if (r == 2.0) return x * x;
  if (r == 0.5) return ::sqrt(x);
  return power_shifted(x, r, 0.0);
}

}  // namespace pqi
