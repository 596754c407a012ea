// Chunk sums of general powers, in the order of reduction.hpp. Included by kernels.cpp alone.
#pragma once

#include "row_pairs.hpp"

namespace pqi::cpu {
namespace {

// Sums of `count` powers of float32 elements; one logarithm an element, then one exponential an exponent. Two rows at
// once hide the latency of one. False, and no result, if an element is infinite or NaN.
template <size_t count>
bool general_fixed(const float* x, size_t n, const double* r, double shift, double* out) {
  double sums[count][lanes] = {};
  int32_t largest[lanes] = {};
  const auto logarithm = [shift](double value) {
    const Log2 l = quick_log2(value);
    return (l.exponent - shift) + l.fraction;
  };
  const auto masked_power = [](double exponent, uint64_t mask) {
    return bits_as<double>(bits_as<uint64_t>(quick_exp2(exponent)) & mask);
  };
  for_each_row_pair(x, n, [&](const float* a, const float* b) {
    double log_a[lanes], log_b[lanes];
    uint64_t nonzero_a[lanes], nonzero_b[lanes];
#pragma omp simd
    for (int j = 0; j < lanes; ++j) {
      const int32_t bits_a = bits_as<int32_t>(magnitude(a[j])), bits_b = bits_as<int32_t>(magnitude(b[j]));
      const int32_t larger = bits_a > bits_b ? bits_a : bits_b;
      largest[j] = largest[j] > larger ? largest[j] : larger;
    }
#pragma omp simd
    for (int j = 0; j < lanes; ++j) {
      const double wide_a = double(magnitude(a[j])), wide_b = double(magnitude(b[j]));
      log_a[j] = logarithm(wide_a);
      log_b[j] = logarithm(wide_b);
      nonzero_a[j] = wide_a == 0.0 ? 0 : ~uint64_t(0);
      nonzero_b[j] = wide_b == 0.0 ? 0 : ~uint64_t(0);
    }
    for (size_t e = 0; e < count; ++e) {
      const double exponent = r[e];
#pragma omp simd
      for (int j = 0; j < lanes; ++j) {
        const double row_a = masked_power(exponent * log_a[j], nonzero_a[j]);
        const double row_b = masked_power(exponent * log_b[j], nonzero_b[j]);
        sums[e][j] = (sums[e][j] + row_a) + row_b;
      }
    }
  });
  for (size_t e = 0; e < count; ++e) out[e] = fold(sums[e]);
  int32_t top = 0;
  for (int j = 0; j < lanes; ++j) top = largest[j] > top ? largest[j] : top;
  return top < 0x7f800000;
}

// float32 whose powers stay in range at this scale: no guards but for zero; false if an element is not finite.
bool general_float(const float* x, size_t n, const double* r, double shift, size_t exponents, double* out) {
  bool finite = true;
  size_t e = 0;
  for (; e + 8 <= exponents; e += 8) finite &= general_fixed<8>(x, n, r + e, shift, out + e);
  for (; e + 2 <= exponents; e += 2) finite &= general_fixed<2>(x, n, r + e, shift, out + e);
  for (; e < exponents; ++e) finite &= general_fixed<1>(x, n, r + e, shift, out + e);
  return finite;
}

// Any finite, infinite or NaN element, any exponent.
double general_double(const double* x, size_t n, double r, double shift) {
  double sum[lanes] = {};
  const auto row = [&](const double* v) {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) sum[j] += power_shifted(magnitude(v[j]), r, shift);
  };
  for_each_row_pair(x, n, [&](const double* a, const double* b) {
    row(a);
    row(b);
  });
  return fold(sum);
}

void powers(double* x, size_t n, double r, double shift) {
#pragma omp simd
  for (size_t i = 0; i < n; ++i) x[i] = power_shifted(x[i], r, shift);
}

}  // namespace
}  // namespace pqi::cpu
