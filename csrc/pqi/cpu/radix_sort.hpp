// Radix sorts of unsigned integers: by their least significant digits first within the cache, by their most significant
// ones beyond it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace pqi::cpu {

// Turns counts into the places where each begins.
template <size_t n>
void counts_to_places(size_t (&counts)[n]) {
  size_t place = 0;
  for (size_t& count : counts) place += std::exchange(count, place);
}

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
    counts_to_places(counts[d]);
    for (size_t i = 0; i < n; ++i) to[count[from[i] >> (d * bits) & 0xff]++] = from[i];
    std::swap(from, to);
  }
  if (from != x) std::copy(from, from + n, x);
}

// Sorts x[0, n), whose keys differ in their lowest `bits` bits alone, into x, or into the buffer of the same size. For
// any n: most significant digits first until a part fits the cache; a digit that all keys share costs one pass.
template <class K>
void radix_sort_from_top(K* x, K* buffer, size_t n, int bits, bool into_buffer = false) {
  constexpr int digit = 8;
  constexpr size_t digits = size_t(1) << digit, cached = size_t(1) << 16;
  if (n <= cached || bits == 0) {
    if (bits > 0) radix_sort(x, buffer, n);
    if (into_buffer) std::copy(x, x + n, buffer);
    return;
  }
  const int shift = std::max(bits - digit, 0);
  size_t places[digits] = {};
  for (size_t i = 0; i < n; ++i) ++places[x[i] >> shift & (digits - 1)];
  if (places[x[0] >> shift & (digits - 1)] == n) return radix_sort_from_top(x, buffer, n, shift, into_buffer);
  counts_to_places(places);
  for (size_t i = 0; i < n; ++i) buffer[places[x[i] >> shift & (digits - 1)]++] = x[i];
  for (size_t d = 0, begin = 0; d < digits; begin = places[d++])
    if (begin < places[d]) radix_sort_from_top(buffer + begin, x + begin, places[d] - begin, shift, !into_buffer);
}

}  // namespace pqi::cpu
