// Least-significant-digit radix sort of unsigned integers that fit the cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace pqi::cpu {

// Sorts x[0, n) ascending with a buffer of the same size; equal digits of all keys cost nothing. Meant for n up to a
// few hundred thousand: beyond the cache its scattered writes become slow.
template <class K>
void radix_sort(K* x, K* buffer, size_t n) {
  if (n <= 64) {
    std::sort(x, x + n);
    return;
  }
  constexpr int bits = 8, digits = int(sizeof(K));
  size_t counts[digits][1 << bits] = {};
  for (size_t i = 0; i < n; ++i)
    for (int d = 0; d < digits; ++d) ++counts[d][x[i] >> (d * bits) & 0xff];
  K *from = x, *to = buffer;
  for (int d = 0; d < digits; ++d) {
    size_t* count = counts[d];
    if (count[from[0] >> (d * bits) & 0xff] == n) continue;
    size_t place = 0;
    for (int i = 0; i < 1 << bits; ++i) place += std::exchange(count[i], place);
    for (size_t i = 0; i < n; ++i) to[count[from[i] >> (d * bits) & 0xff]++] = from[i];
    std::swap(from, to);
  }
  if (from != x) std::copy(from, from + n, x);
}

}  // namespace pqi::cpu
