// A chunk by pairs of its rows of 16 elements. Included by other kernels alone.
#pragma once

#include "live.hpp"

namespace pqi::cpu {
namespace {

// Calls rows(a, b) for every two rows of a chunk, b behind a in memory, the last ones padded with zeros; once for an
// empty chunk. Where it is masked, elements that do not live are zeros too.
template <bool masked, class T, class Rows>
inline __attribute__((always_inline)) void for_each_row_pair(const T* x, const uint8_t* live, size_t n, Rows rows) {
  constexpr size_t pair = 2 * lanes;
  const size_t whole = n / pair, rest = n % pair, pairs = whole + (rest > 0 || n == 0);
  T padded[pair], kept[pair];
  uint8_t padded_live[pair];
  if (whole < pairs) {
    const T* const last = x + whole * pair;
#pragma omp simd
    for (size_t j = 0; j < pair; ++j) padded[j] = j < rest ? last[j] : T(0);
    for (size_t j = 0; masked && j < pair; ++j) padded_live[j] = j < rest ? live[whole * pair + j] : 0;
  }
  const T* next = whole > 0 ? x : padded;
  const uint8_t* next_live = whole > 0 ? live : padded_live;
  size_t i = 0;
  do {  // at least once, so that sums need not be in memory for the case of never
    if constexpr (masked) {
      for (size_t j = 0; j < pair; j += LiveRegister<T>::width)
        LiveRegister<T>(next_live + j).clear(next + j, kept + j);
      rows(kept, kept + lanes);
    } else {
      rows(next, next + lanes);
    }
    ++i;
    next = i == whole ? padded : next + pair;
    if constexpr (masked) next_live = i == whole ? padded_live : next_live + pair;
  } while (i != pairs);
}

}  // namespace
}  // namespace pqi::cpu
