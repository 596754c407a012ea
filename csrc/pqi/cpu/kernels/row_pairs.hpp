// A chunk by pairs of its rows of 16 elements. Included by other kernels alone.
#pragma once

#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

// Calls rows(a, b) for every two rows of a chunk, b behind a in memory, the last ones padded with zeros; once for an
// empty chunk.
template <class T, class Rows>
inline __attribute__((always_inline)) void for_each_row_pair(const T* x, size_t n, Rows rows) {
  constexpr size_t pair = 2 * lanes;
  const size_t whole = n / pair, rest = n % pair, pairs = whole + (rest > 0 || n == 0);
  T padded[pair];
  if (whole < pairs) {
    const T* const last = x + whole * pair;
#pragma omp simd
    for (size_t j = 0; j < pair; ++j) padded[j] = j < rest ? last[j] : T(0);
  }
  const T* next = whole > 0 ? x : padded;
  size_t i = 0;
  do {  // at least once, so that sums need not be in memory for the case of never
    rows(next, next + lanes);
    next = ++i == whole ? padded : next + pair;
  } while (i != pairs);
}

}  // namespace
}  // namespace pqi::cpu
