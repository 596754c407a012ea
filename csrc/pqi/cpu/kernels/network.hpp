// Sorting networks over the columns of a tile; every lane is a column of its own. Included by kernels.cpp alone.
//
// Blocks of 16 rows are sorted in registers. Sorted runs then double: the upper half of a pair is compared with the
// lower one in reverse, which leaves two bitonic halves, and half-cleaners of falling distance sort those, the last
// four within a block in registers again. Of the others as many as the registers hold rows for are made in one pass,
// and runs double as soon as there are two, while they are in the first cache. All comparisons put the smaller key
// first, so those beyond the last row, where padding would stand, fall away.
#pragma once

#include <utility>

#include "../kernels.hpp"
#include "registers.hpp"

namespace pqi::cpu {
namespace {

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

constexpr Comparators sorting = block_sorter(), cleaning = block_cleaner();

// The first steps of a merge, or of what comes behind its first one, on 2^levels rows at equal distances.
constexpr Comparators steps(int levels, bool opening) {
  Comparators network;
  const int rows = 1 << levels;
  for (int d = rows / 2; d > 0; d /= 2)
    for (int i = 0; i < rows; ++i)
      if ((i & d) == 0) network.add(i, opening && d == rows / 2 ? rows - 1 - i : i + d);
  return network;
}

template <class V>
inline __attribute__((always_inline)) void exchange(V& a, V& b) {
  const V low = a < b ? a : b, high = a < b ? b : a;
  a = low;
  b = high;
}

template <const Comparators& network, class V, size_t... I>
inline __attribute__((always_inline)) void apply(V* rows, std::index_sequence<I...>) {
  (exchange(rows[network.first[I]], rows[network.second[I]]), ...);
}
template <const Comparators& network, class V>
inline __attribute__((always_inline)) void apply(V* rows) {
  apply<network>(rows, std::make_index_sequence<network.count>());
}

// As many keys as fill a register.
template <class K>
struct Registers {
  typedef K Keys __attribute__((vector_size(register_bytes)));
  static constexpr int width = register_bytes / int(sizeof(K));
};

// Applies a network to the 16 rows of a block, as many lanes at a time as fill a register.
template <const Comparators& network, class K>
void sort_block(K* rows) {
  typedef typename Registers<K>::Keys Keys;
  for (int lane = 0; lane < lanes; lane += Registers<K>::width) {
    Keys block[block_rows];
#pragma GCC unroll 16
    for (int i = 0; i < block_rows; ++i) block[i] = load_register<Keys>(rows + i * lanes + lane);
    apply<network>(block);
#pragma GCC unroll 16
    for (int i = 0; i < block_rows; ++i) store_register(block[i], rows + i * lanes + lane);
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

template <int levels, bool opening>
inline constexpr Comparators pass_network = steps(levels, opening);

// `levels` steps on a stretch of `span` rows in one pass; in an opening one the upper half is read in reverse.
template <int levels, bool opening, class K>
void pass(K* tile, size_t span) {
  typedef typename Registers<K>::Keys Keys;
  constexpr int count = 1 << levels;
  const size_t stride = span >> levels;
  for (size_t i = 0; i < stride; ++i) {
    K* const upward = tile + i * lanes;
    K* const downward = opening ? tile + (stride - 1 - i) * lanes : upward;
    for (int lane = 0; lane < lanes; lane += Registers<K>::width) {
      Keys rows[count];
#pragma GCC unroll 16
      for (int k = 0; k < count; ++k)
        rows[k] = load_register<Keys>((k < count / 2 ? upward : downward) + size_t(k) * stride * lanes + lane);
      apply<pass_network<levels, opening>>(rows);
#pragma GCC unroll 16
      for (int k = 0; k < count; ++k)
        store_register(rows[k], (k < count / 2 ? upward : downward) + size_t(k) * stride * lanes + lane);
    }
  }
}

// Rows that a pass holds, by their logarithm.
constexpr int most_levels = register_bytes == 32 ? 3 : 4;

// Steps of distance span/2 and below on a bitonic stretch of block_rows · 2^k rows; an opening one merges its halves.
template <bool opening, class K>
void clean(K* tile, size_t span) {
  if (span == block_rows) return sort_block<cleaning>(tile);
  const int left = 63 - __builtin_clzll(span / block_rows), passes = (left + most_levels - 1) / most_levels;
  const int levels = (left + passes - 1) / passes;
  if (levels == 1) pass<1, opening>(tile, span);
  if (levels == 2) pass<2, opening>(tile, span);
  if (levels == 3) pass<3, opening>(tile, span);
  if constexpr (most_levels > 3)
    if (levels == 4) pass<4, opening>(tile, span);
  const size_t part = span >> levels;
  for (size_t i = 0; i < span; i += part) clean<false>(tile + i * lanes, part);
}

// The same where rows from `rows` on are missing.
template <bool opening, class K>
void clean_part(K* tile, size_t span, size_t rows) {
  if (span <= rows) return clean<opening>(tile, span);
  const size_t half = span / 2;
  for (size_t i = 0; i < half; ++i) {
    const size_t other = opening ? span - 1 - i : half + i;
    if (other < rows) exchange_rows(tile + i * lanes, tile + other * lanes);
  }
  if (rows > 0) clean_part<false>(tile, half, rows);
  if (rows > half) clean_part<false>(tile + half * lanes, half, rows - half);
}

// Sorts the columns of a tile of whole blocks ascending; sorted_block(i) sorts the block that begins with row i.
template <class K, class SortBlock>
void sort_columns(K* tile, size_t rows, SortBlock sorted_block) {
  for (size_t end = block_rows; end <= rows; end += block_rows) {
    sorted_block(end - block_rows);
    for (size_t span = 2 * block_rows; end % span == 0; span *= 2) clean<true>(tile + (end - span) * lanes, span);
  }
  for (size_t span = 2 * block_rows; span < 2 * rows; span *= 2)
    if (rows % span > span / 2) clean_part<true>(tile + (rows - rows % span) * lanes, span, rows % span);
}

template <class K>
void sort_columns(K* tile, size_t rows) {
  sort_columns(tile, rows, [&](size_t i) { sort_block<sorting>(tile + i * lanes); });
}

}  // namespace
}  // namespace pqi::cpu
