// Chunk sums of general powers, in the order of reduction.hpp. Included by kernels.cpp alone.
#pragma once

#include "row_pairs.hpp"

namespace pqi::cpu {
namespace {

// Any finite, infinite or NaN element, any exponent.
double general_double(const double* x, size_t n, double r, double shift) {
  double sum[lanes] = {};
  const auto row = [&](const double* v) {
#pragma omp simd
    for (int j = 0; j < lanes; ++j) sum[j] += power_shifted(magnitude(v[j]), r, shift);
  };
  PairRoom<double> room;
  RowPairs<false, double> pairs(room);
  for (pairs.open(x, nullptr, n);; pairs.advance()) {
    row(pairs.elements());
    row(pairs.elements() + lanes);
    if (pairs.last()) break;
  }
  return fold(sum);
}

void powers(double* x, size_t n, double r, double shift) {
#pragma omp simd
  for (size_t i = 0; i < n; ++i) x[i] = power_shifted(x[i], r, shift);
}

}  // namespace
}  // namespace pqi::cpu
