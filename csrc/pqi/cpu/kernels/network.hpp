// Sorting networks over the columns of a tile; every lane is a column of its own. Included by kernels.cpp alone.
//
// Blocks of 16 rows are sorted in registers. Sorted runs then double: the upper half of a pair is compared with the
// lower one in reverse, which leaves two bitonic halves, and half-cleaners of falling distance sort those, the last
// four within a block in registers again. All comparisons put the smaller key first, so those beyond the last row,
// where padding would stand, fall away.
#pragma once

#include <utility>

#include "../kernels.hpp"

namespace pqi::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int register_bytes = 64;
#elif defined(__AVX2__)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif

constexpr int block_rows = network_rows;

// Pairs of rows to compare, in order.
struct Comparators {
  size_t count = 0;
  uint8_t first[64] = {}, second[64] = {};

  constexpr void add(int i, int j) {
    first[count] = uint8_t(i);
    second[count++] = uint8_t(j);
  }
};

// Batcher's odd-even merge sort of a block (Knuth 5.3.4).
constexpr Comparators block_sorter() {
  Comparators network;
  for (int p = 1; p < block_rows; p *= 2)
    for (int k = p; k >= 1; k /= 2)
      for (int j = k % p; j + k < block_rows; j += 2 * k)
        for (int i = j; i < j + k && i + k < block_rows; ++i)
          if (i / (2 * p) == (i + k) / (2 * p)) network.add(i, i + k);
  return network;
}

// Half-cleaners of distances 8, 4, 2, 1.
constexpr Comparators block_cleaner() {
  Comparators network;
  for (int d = block_rows / 2; d > 0; d /= 2)
    for (int i = 0; i < block_rows; ++i)
      if ((i & d) == 0) network.add(i, i + d);
  return network;
}

constexpr Comparators networks[] = {block_sorter(), block_cleaner()};

template <class V>
inline __attribute__((always_inline)) void exchange(V& a, V& b) {
  const V low = a < b ? a : b, high = a < b ? b : a;
  a = low;
  b = high;
}

template <size_t network, class V, size_t... I>
inline __attribute__((always_inline)) void apply(V* rows, std::index_sequence<I...>) {
  (exchange(rows[networks[network].first[I]], rows[networks[network].second[I]]), ...);
}

// Applies a network to the 16 rows of a block, as many lanes at a time as fill a register.
template <size_t network, class K>
void sort_block(K* rows) {
  typedef K Register __attribute__((vector_size(register_bytes)));
  constexpr int width = register_bytes / int(sizeof(K));
  for (int lane = 0; lane < lanes; lane += width) {
    Register block[block_rows];
    for (int i = 0; i < block_rows; ++i) __builtin_memcpy(&block[i], rows + i * lanes + lane, sizeof(Register));
    apply<network>(block, std::make_index_sequence<networks[network].count>());
    for (int i = 0; i < block_rows; ++i) __builtin_memcpy(rows + i * lanes + lane, &block[i], sizeof(Register));
  }
}

template <class K>
inline void exchange_rows(K* a, K* b) {
#pragma omp simd
  for (int j = 0; j < lanes; ++j) {
    const K low = a[j] < b[j] ? a[j] : b[j], high = a[j] < b[j] ? b[j] : a[j];
    a[j] = low;
    b[j] = high;
  }
}

// Sorts the columns of a [width][lanes] tile ascending. The tile has whole blocks of rows; those from `width` on are
// overwritten.
template <class K>
void sort_columns(K* tile, size_t width) {
  const size_t rows = tile_rows(width);
  constexpr K largest = K(-1) < K(0) ? K(~(K(1) << (sizeof(K) * 8 - 1))) : K(-1);
  for (size_t i = width * lanes; i < rows * lanes; ++i) tile[i] = largest;
  for (size_t i = 0; i < rows; i += block_rows) sort_block<0>(tile + i * lanes);
  for (size_t run = block_rows; run < rows; run *= 2) {
    for (size_t base = 0; base + run < rows; base += 2 * run)
      for (size_t i = 0; i < run; ++i) {
        const size_t mirrored = base + 2 * run - 1 - i;
        if (mirrored < rows) exchange_rows(tile + (base + i) * lanes, tile + mirrored * lanes);
      }
    for (size_t distance = run / 2; distance >= block_rows; distance /= 2)
      for (size_t base = 0; base + distance < rows; base += 2 * distance)
        for (size_t i = base; i < base + distance && i + distance < rows; ++i)
          exchange_rows(tile + i * lanes, tile + (i + distance) * lanes);
    for (size_t i = 0; i < rows; i += block_rows) sort_block<1>(tile + i * lanes);
  }
}

}  // namespace
}  // namespace pqi::cpu
