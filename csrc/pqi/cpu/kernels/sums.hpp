// Chunk sums of powers, in the order of reduction.hpp. Included by kernels.cpp alone.
#pragma once

#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

// Calls rows(a, b) for every two rows of a chunk, the last ones padded with zeros.
template <class T, class Rows>
inline __attribute__((always_inline)) void for_each_row_pair(const T* x, size_t n, Rows rows) {
  const size_t whole = n / (2 * lanes) * (2 * lanes);
  for (size_t i = 0; i < whole; i += 2 * lanes) rows(x + i, x + i + lanes);
  if (whole < n) {
    T padded[2 * lanes] = {};
    for (size_t i = whole; i < n; ++i) padded[i - whole] = x[i];
    rows(padded, padded + lanes);
  }
}

inline float magnitude(float x) { return bits_as<float>(bits_as<uint32_t>(x) & 0x7fffffffu); }
inline double magnitude(double x) { return bits_as<double>(bits_as<uint64_t>(x) & 0x7fffffffffffffffull); }
inline __attribute__((always_inline)) void add_roots(float a, float b, double& sum, float& low) {
  const RootPair roots = root_pair(a, b);
  sum += double(roots.sum);
  low += roots.low;
}
inline __attribute__((always_inline)) void add_roots(double a, double b, double& sum, double&) {
  sum += __builtin_sqrt(a) + __builtin_sqrt(b);
}

template <unsigned which, class T>
void special_fixed(const T* x, size_t n, T factor, double out[3]) {
  double half[lanes] = {}, one[lanes] = {}, two[lanes] = {};
  T low[lanes] = {};
  for_each_row_pair(x, n, [&](const T* a, const T* b) {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) {
      const T scaled_a = magnitude(a[j]) * factor, scaled_b = magnitude(b[j]) * factor;
      const double wide_a = double(scaled_a), wide_b = double(scaled_b);
      if constexpr (which & sum_half) add_roots(scaled_a, scaled_b, half[j], low[j]);
      if constexpr (which & sum_one) one[j] += wide_a + wide_b;
      if constexpr (which & sum_two) two[j] += wide_a * wide_a + wide_b * wide_b;
    }
  });
  if constexpr (which & sum_half) {
    for (int j = 0; j < lanes; ++j) half[j] += low[j] - low[j] == T(0) ? double(low[j]) : 0.0;  // infinite: in half
    out[0] = fold(half);
  }
  if constexpr (which & sum_one) out[1] = fold(one);
  if constexpr (which & sum_two) out[2] = fold(two);
}

template <class T>
void special(unsigned which, const T* x, size_t n, T factor, double out[3]) {
  switch (which) {
    case sum_half:
      return special_fixed<sum_half>(x, n, factor, out);
    case sum_one:
      return special_fixed<sum_one>(x, n, factor, out);
    case sum_two:
      return special_fixed<sum_two>(x, n, factor, out);
    case sum_half | sum_one:
      return special_fixed<sum_half | sum_one>(x, n, factor, out);
    case sum_half | sum_two:
      return special_fixed<sum_half | sum_two>(x, n, factor, out);
    case sum_one | sum_two:
      return special_fixed<sum_one | sum_two>(x, n, factor, out);
    default:
      return special_fixed<sum_half | sum_one | sum_two>(x, n, factor, out);
  }
}

// Sums of `count` powers of float32 elements; one logarithm an element, then one exponential an exponent.
template <size_t count>
void general_fixed(const float* x, size_t n, const double* r, double shift, double* out) {
  double sums[count][lanes] = {};
  const auto row = [&](const float* v) {
    double logarithm[lanes];
    uint64_t nonzero[lanes];
#pragma omp simd
    for (int j = 0; j < lanes; ++j) {
      const double value = double(magnitude(v[j]));
      const Log2 l = log2_parts<false>(value);
      logarithm[j] = (l.exponent - shift) + l.fraction;
      nonzero[j] = value == 0.0 ? 0 : ~uint64_t(0);
    }
    for (size_t e = 0; e < count; ++e) {
#pragma omp simd
      for (int j = 0; j < lanes; ++j)
        sums[e][j] += bits_as<double>(bits_as<uint64_t>(bounded_power(logarithm[j], r[e])) & nonzero[j]);
    }
  };
  for_each_row_pair(x, n, [&](const float* a, const float* b) {
    row(a);
    row(b);
  });
  for (size_t e = 0; e < count; ++e) out[e] = fold(sums[e]);
}

// float32 whose powers stay in range at this scale: no guards but for zero; false if an element is not finite.
bool general_float(const float* x, size_t n, const double* r, double shift, size_t exponents, double* out) {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = bits_as<uint32_t>(x[i]) & 0x7fffffffu;
    largest = bits > largest ? bits : largest;
  }
  if (largest >= 0x7f800000u) return false;
  size_t e = 0;
  for (; e + 8 <= exponents; e += 8) general_fixed<8>(x, n, r + e, shift, out + e);
  for (; e + 2 <= exponents; e += 2) general_fixed<2>(x, n, r + e, shift, out + e);
  for (; e < exponents; ++e) general_fixed<1>(x, n, r + e, shift, out + e);
  return true;
}

// Any finite, infinite or NaN element, any exponent.
double general_double(const double* x, size_t n, double r, double shift) {
  double sum[lanes] = {};
  const auto row = [&](const double* v) {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) sum[j] += power_shifted<true>(magnitude(v[j]), r, shift);
  };
  for_each_row_pair(x, n, [&](const double* a, const double* b) {
    row(a);
    row(b);
  });
  return fold(sum);
}

void powers(double* x, size_t n, double r, double shift) {
#pragma omp simd
  for (size_t i = 0; i < n; ++i) x[i] = power_shifted<true>(x[i], r, shift);
}

}  // namespace
}  // namespace pqi::cpu
