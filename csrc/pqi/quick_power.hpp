// x^r for sums of float32 powers, at half the cost of power.hpp: both halves take their first digits from tables of
// eight entries, which vector code holds in registers. Relative error of a power below 1e-13 for exponents up to 3.5;
// powers of 1 are exact, and scaling x by a power of two scales nothing else.
//
// The mathematics stands here once, over a type `Lanes`: its Number is a double or a vector of them and its Bits are
// their bits; lookup<Table>(i) takes entry i mod 8 for each, and exact_product_sum(a, b, c) is a·b + c where a·b is
// exact in float64, so that a fused operation and two others have the same bits.
//
// Polynomials are minimax in absolute error on the interval that rounding to a table entry leaves, found by weighted
// least squares (Lawson) in 60 digits: log2(1 + ρ) = ρ·P(ρ) on |ρ| ≤ 0.0574 to 4.4e-15, with every other coefficient
// first rounded to 27 bits, and 2^f = 1 + f·Q(f) on |f| ≤ 1/16 to 9e-16.
#pragma once

#include "power.hpp"

namespace pqi {

struct alignas(64) Eight {
  double at[8];
};

// 1/c of six bits for eight intervals that cut [0.708, 1.417); the one around 1 has c = 1.
struct InverseCentres {
  PQI_HD static constexpr Eight table() {
    return {{0x1.5cp+0, 0x1.4p+0, 0x1.28p+0, 0x1.14p+0, 0x1p+0, 0x1.dp-1, 0x1.ap-1, 0x1.78p-1}};
  }
};

// log2(c).
struct CentreLogarithms {
  PQI_HD static constexpr Eight table() {
    return {{-0x1.c592fad295b56p-2, -0x1.49a784bcd1b8bp-2, -0x1.acf5e2db4ec94p-3, -0x1.bc84240adabbap-4, 0.0,
             0x1.22dadc2ab3497p-3, 0x1.32bfee370ee68p-2, 0x1.c819dc2d45fe4p-2}};
  }
};

// 2^(j/8), whose bits stand as if it were divided by 2^(j/8) in the exponent's place: adding an integer n ≡ j (mod 8)
// there, three bits to its left, gives the bits of 2^(n/8).
struct Eighths {
  PQI_HD static constexpr Eight table() {
    return {{0x1p+0, 0x1.f72b83c7d517bp-1, 0x1.f06fe0a31b715p-1, 0x1.ebfdad5362a27p-1, 0x1.ea09e667f3bcdp-1,
             0x1.eace5422aa0dbp-1, 0x1.ee89f995ad3adp-1, 0x1.f5818dcfba487p-1}};
  }
};

// log2(x) − shift for a positive, finite x that is no subnormal and has 24 significant bits, and an integer shift.
// Of 0 it is at most −1022 − shift.
template <class Lanes>
PQI_HD typename Lanes::Number quick_log2(typename Lanes::Number x, double shift) {
  using Number = typename Lanes::Number;
  using Bits = typename Lanes::Bits;
  constexpr uint64_t lowest = 0x3fe6ab0000000000ull, one = 0x3ff0000000000000ull;
  const Bits shifted = bits_as<Bits>(x) + (one - lowest);
  const Number exponent = bits_as<Number>((shifted >> 52) | 0x4330000000000000ull) - (0x1p52 + 1023.0 + shift);
  const Number mantissa = bits_as<Number>((shifted & 0x000fffffffffffffull) + lowest);
  const Bits interval = shifted >> 49;
  // 24 bits times 7 bits, less 1: ρ is exact and has 26 bits.
  const Number rho = Lanes::exact_product_sum(mantissa, Lanes::template lookup<InverseCentres>(interval), -1.0);
  const Number z = rho * rho;
  const Number a = -0x1.71547652b1f02p-1 * rho + 0x1.71547652b7787p+0;
  const Number b = Lanes::exact_product_sum(rho, -0x1.715476cp-2, 0x1.ec709df184bc6p-2);
  const Number c = Lanes::exact_product_sum(rho, -0x1.ec6e2d4p-3, 0x1.2776002b013b0p-2);
  const Number d = Lanes::exact_product_sum(rho, -0x1.7429894p-3, 0x1.a8874a8a51421p-3);
  return (exponent + Lanes::template lookup<CentreLogarithms>(interval)) + rho * (a + z * (b + z * (c + z * d)));
}

// 2^y for −1022 < y < 1023.
template <class Lanes>
PQI_HD typename Lanes::Number quick_exp2(typename Lanes::Number y) {
  using Number = typename Lanes::Number;
  using Bits = typename Lanes::Bits;
  constexpr double magic = 0x1.8p49;  // its last bit is worth 1/8
  const Number eighths = y + magic, f = y - (eighths - magic);
  const Bits integer = bits_as<Bits>(eighths);
  const Number power = bits_as<Number>(bits_as<Bits>(Lanes::template lookup<Eighths>(integer)) + (integer << 49));
  const Number z = f * f;
  const Number a = 0x1.ebfbdff82c7a3p-3 * f + 0x1.62e42fefa3d6fp-1;
  const Number b = 0x1.3b2ab6ef2c070p-7 * f + 0x1.c6b08d544c923p-5;
  const Number c = 0x1.430e6b5544e74p-13 * f + 0x1.5d8efdd1f80bdp-10;
  return power + (power * f) * (a + z * (b + z * c));
}

#if defined(__CUDACC__)
// In memory, whose cache serves a warp's entries at once; a table of a function's own is written anew for each look.
template <class Table>
__device__ const Eight table_on_device = Table::table();
#endif

struct OneLane {
  using Number = double;
  using Bits = uint64_t;

  template <class Table>
  PQI_HD static double lookup(uint64_t i) {
#if defined(__CUDA_ARCH__)
    return table_on_device<Table>.at[i & 7];
#else
    constexpr Eight table = Table::table();
    return table.at[i & 7];
#endif
  }
  PQI_HD static double exact_product_sum(double a, double b, double c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__CUDA_ARCH__)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
  }
};

}  // namespace pqi
