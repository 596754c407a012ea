// Radix sorts of unsigned integers: by their least significant digits first within the cache, by their most significant
// ones beyond it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace pqi::cpu {

// Turns counts into the places where each begins.
template <class Count, size_t n>
void counts_to_places(Count (&counts)[n]) {
  Count place = 0;
  for (Count& count : counts) place += std::exchange(count, place);
}

// By digits of so many bits, all counted in one pass; n < 2^32.
template <int bits, class K>
void radix_sort_by(K* x, K* buffer, size_t n) {
  constexpr int digits = (int(sizeof(K)) * 8 + bits - 1) / bits;
  constexpr K all = K((1u << bits) - 1);
  uint32_t counts[digits][1 << bits] = {};
  for (size_t i = 0; i < n; ++i)
    for (int d = 0; d < digits; ++d) ++counts[d][x[i] >> (d * bits) & all];
  K *from = x, *to = buffer;
  for (int d = 0; d < digits; ++d) {
    uint32_t* const place = counts[d];
    if (place[from[0] >> (d * bits) & all] == n) continue;
    counts_to_places(counts[d]);
    for (size_t i = 0; i < n; ++i) to[place[from[i] >> (d * bits) & all]++] = from[i];
    std::swap(from, to);
  }
  if (from != x) std::copy(from, from + n, x);
}

// Sorts x[0, n) ascending with a buffer of the same size; equal digits of all keys cost nothing. Meant for n up to a
// few hundred thousand: beyond the cache its scattered writes become slow.
template <class K>
void radix_sort(K* x, K* buffer, size_t n) {
  constexpr size_t many = size_t(1) << 13;  // worth the counters of longer digits
  if (n <= 64) return std::sort(x, x + n);
  if (sizeof(K) > 2 && n >= many) return radix_sort_by<11>(x, buffer, n);
  radix_sort_by<8>(x, buffer, n);
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
