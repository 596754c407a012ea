// One vector sorted in a tile: its columns are sorted each, then pairs of columns merge into longer and longer runs, as
// a bitonic network over the order column by column. Distances within a column compare whole rows as in network.hpp;
// distances between columns compare a row's lanes with each other, all those of a merge while the row is in registers.
// Included by kernels.cpp alone.
#pragma once

#include <bit>
#include <utility>

#include "../kernels.hpp"
#include "network.hpp"
#include "ranks.hpp"

namespace pqi::cpu {
namespace {

// A row of a tile in registers.
template <class K>
struct Row {
  typedef K Register __attribute__((vector_size(register_bytes)));
  static constexpr int width = register_bytes / int(sizeof(K));

  Register parts[lanes / width];
};
template <class K>
using Parts = std::make_integer_sequence<int, lanes / Row<K>::width>;
template <class K>
using Lanes = std::make_integer_sequence<int, Row<K>::width>;

template <class K, int... part>
inline __attribute__((always_inline)) Row<K> load(const K* from, std::integer_sequence<int, part...>) {
  return {{load_register<typename Row<K>::Register>(from + part * Row<K>::width)...}};
}

template <class K, int... part>
inline __attribute__((always_inline)) void store(const Row<K>& row, K* to, std::integer_sequence<int, part...>) {
  (store_register(row.parts[part], to + part * Row<K>::width), ...);
}

// Lanes first, first + 1, … of a row, each compared with its number ^ mask of another (or the same) row, `other`: lanes
// without the mask's highest bit keep the smaller key.
template <int mask, int first, class Register, int... i>
inline __attribute__((always_inline)) Register kept(Register a, Register other, std::integer_sequence<int, i...>) {
  constexpr int width = int(sizeof...(i)), top = int(std::bit_floor(unsigned(mask)));
  const Register b = __builtin_shufflevector(other, other, (i ^ (mask % width))...);
  const Register low = a < b ? a : b, high = a < b ? b : a;
  return __builtin_shufflevector(low, high, (((first + i) & top) != 0 ? i + width : i)...);
}

template <int mask, class K, int... part>
inline __attribute__((always_inline)) Row<K> compared(const Row<K>& row, const Row<K>& other,
                                                      std::integer_sequence<int, part...>) {
  constexpr int width = Row<K>::width;
  return {{kept<mask, part * width>(row.parts[part], other.parts[part ^ (mask / width)], Lanes<K>{})...}};
}

template <int distance, class K>
inline __attribute__((always_inline)) Row<K> cleaned(Row<K> row) {
  if constexpr (distance == 0) {
    return row;
  } else {
    return cleaned<distance / 2>(compared<distance>(row, row, Parts<K>{}));
  }
}

// Merges runs of `columns` neighbouring columns in pairs.
template <int columns, class K>
void merge_columns(K* tile, size_t rows) {
  for (size_t i = 0; i < rows / 2; ++i) {
    K *const first = tile + i * lanes, *const second = tile + (rows - 1 - i) * lanes;
    const Row<K> a = load(first, Parts<K>{}), b = load(second, Parts<K>{});
    store(cleaned<columns / 2>(compared<2 * columns - 1>(a, b, Parts<K>{})), first, Parts<K>{});
    store(cleaned<columns / 2>(compared<2 * columns - 1>(b, a, Parts<K>{})), second, Parts<K>{});
  }
  clean<false>(tile, rows);
  if constexpr (2 * columns < lanes) merge_columns<2 * columns>(tile, rows);
}

// Sorts a tile of block_rows · 2^k rows ascending in the order column by column.
template <class K>
void sort_vector(K* tile, size_t rows) {
  sort_columns(tile, rows);
  merge_columns<1>(tile, rows);
}

template <class Signed, class Number>
void rank_vector(Signed* tile, size_t rows, double live, RankedLanes* out) {
  sort_vector(tile, rows);
  const Signed largest = tile[rows * lanes - 1];
  out->largest[lanes - 1] = uint64_t(largest);
  ColumnSums<Number, Signed> sums(out);
  const double factor = scaling_factor<Number>(largest);
  for (int j = 0; j < lanes; ++j) {
    sums.factor[j] = factor;
    sums.weight[j] = 2.0 * (double(j) - lanes) * double(rows) + 1.0 + live;
  }
  sums.add(tile, rows, rows * lanes);
}

void rank_float_vector(uint32_t* tile, size_t rows, double live, RankedLanes* out) {
  rank_vector<int32_t, float>(reinterpret_cast<int32_t*>(tile), rows, live, out);
}

void rank_double_vector(uint64_t* tile, size_t rows, double live, RankedLanes* out) {
  rank_vector<int64_t, double>(reinterpret_cast<int64_t*>(tile), rows, live, out);
}

}  // namespace
}  // namespace pqi::cpu
