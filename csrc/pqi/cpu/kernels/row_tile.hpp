// Rows become the columns of a tile, a block at a time: read, transposed and sorted in registers. Included by
// kernels.cpp alone.
#pragma once

#include <utility>

#include "network.hpp"

namespace pqi::cpu {
namespace {

// Lanes of a and b in turn, from the lower or the upper half of every 16 bytes.
template <int upper, class Keys, int... i>
inline __attribute__((always_inline)) Keys zipped(Keys a, Keys b, std::integer_sequence<int, i...>) {
  constexpr int width = int(sizeof...(i)), part = width / (register_bytes / 16);
  return __builtin_shufflevector(a, b, (i / part * part + upper * (part / 2) + i % part / 2 + i % 2 * width)...);
}

// Every other 16 bytes of a, then of b.
template <int odd, class Keys, int... i>
inline __attribute__((always_inline)) Keys halved(Keys a, Keys b, std::integer_sequence<int, i...>) {
  constexpr int width = int(sizeof...(i)), part = width / (register_bytes / 16);
  return __builtin_shufflevector(a, b, ((2 * (i / part) + odd) * part + i % part)...);
}

template <int bit, class Keys, int... pair, class Places>
inline __attribute__((always_inline)) void zip_pairs(Keys* x, std::integer_sequence<int, pair...>, Places places) {
  const auto zip = [places](Keys& a, Keys& b) __attribute__((always_inline)) {
    const Keys low = zipped<0>(a, b, places), high = zipped<1>(a, b, places);
    a = low;
    b = high;
  };
  (zip(x[pair / bit * 2 * bit + pair % bit], x[pair / bit * 2 * bit + pair % bit + bit]), ...);
}

template <int bit, class Keys, int... pair, class Places>
inline __attribute__((always_inline)) void halve_pairs(Keys* x, std::integer_sequence<int, pair...>, Places places) {
  const auto halve = [places](Keys& a, Keys& b) __attribute__((always_inline)) {
    const Keys low = halved<0>(a, b, places), high = halved<1>(a, b, places);
    a = low;
    b = high;
  };
  (halve(x[pair / bit * 2 * bit + pair % bit], x[pair / bit * 2 * bit + pair % bit + bit]), ...);
}

// Transposes a square of as many registers as each has lanes: what was in register j comes into lane j. The registers
// come in another order than the lanes had: every step moves a bit of a register's number to the lowest place of a
// lane's number, within 16 bytes or among them, whose highest one takes its place.
template <class K>
inline __attribute__((always_inline)) void transpose_square(typename Registers<K>::Keys* x) {
  constexpr int width = Registers<K>::width, part = 16 / int(sizeof(K));
  constexpr auto places = std::make_integer_sequence<int, width>();
  constexpr auto pairs = std::make_integer_sequence<int, width / 2>();
  if constexpr (part == 4) zip_pairs<2>(x, pairs, places);
  zip_pairs<1>(x, pairs, places);
  if constexpr (width >= 2 * part) halve_pairs<part>(x, pairs, places);
  if constexpr (width >= 4 * part) halve_pairs<2 * part>(x, pairs, places);
}

// Sorts the 16 magnitudes' bits at `rows[j]` + offset, for every j, into lane j of a block; those at `rows[j]` + later
// are wanted soon.
template <class K>
void sort_from_rows(const char* const* rows, size_t offset, size_t later, K* out) {
  typedef typename Registers<K>::Keys Keys;
  constexpr int width = Registers<K>::width;
  constexpr K magnitude = K(~(K(1) << (sizeof(K) * 8 - 1)));
  for (int lane = 0; lane < lanes; lane += width) {
    Keys block[block_rows];
    for (int first = 0; first < block_rows; first += width) {
#pragma GCC unroll 16
      for (int r = 0; r < width; ++r) {
        Keys keys;
        __builtin_memcpy(&keys, rows[lane + r] + offset + size_t(first) * sizeof(K), sizeof keys);
        block[first + r] = keys & magnitude;
        if (first % (64 / int(sizeof(K))) == 0) __builtin_prefetch(rows[lane + r] + later + size_t(first) * sizeof(K));
      }
      transpose_square<K>(block + first);
    }
    apply<sorting>(block);
    for (int i = 0; i < block_rows; ++i) __builtin_memcpy(out + i * lanes + lane, &block[i], sizeof(Keys));
  }
}

// Elements of each row that are asked for ahead, beyond the last one from where neighbouring rows follow: so many short
// streams are more than the hardware prefetches by itself.
constexpr size_t prefetched = 64;

// Fills a tile of tile_rows(width) rows with the magnitudes' bits of 16 rows of `width` elements, sorted, zeros first
// where a block has more rows.
template <class K>
void sort_rows(const void* const* rows, size_t width, K* tile) {
  const char *from[lanes], *padded[lanes];
  K rest[lanes][block_rows];
  const size_t whole = width / block_rows * block_rows;
  for (int j = 0; j < lanes; ++j) {
    from[j] = static_cast<const char*>(rows[j]);
    padded[j] = reinterpret_cast<const char*>(rest[j]);
    for (size_t i = 0; i < block_rows; ++i) rest[j][i] = K(0);
    __builtin_memcpy(rest[j], from[j] + whole * sizeof(K), (width - whole) * sizeof(K));
  }
  sort_columns(tile, tile_rows(width), [&](size_t i) {
    const size_t next = i + prefetched, later = next < width ? next : next - width + width * lanes;
    if (i < whole) sort_from_rows(from, i * sizeof(K), later * sizeof(K), tile + i * lanes);
    if (i >= whole) sort_from_rows(padded, 0, 0, tile + i * lanes);
  });
}

}  // namespace
}  // namespace pqi::cpu
