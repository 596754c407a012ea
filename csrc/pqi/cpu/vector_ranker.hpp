// The Gini index of one group that fits the cache.
#pragma once

#include <algorithm>
#include <bit>

#include "../gini.hpp"
#include "source.hpp"

namespace pqi::cpu {

// The group fills a tile, a stretch of it in every row, is sorted by a network there and summed in double-double.
template <class Number, class K>
class VectorRanker {
 public:
  explicit VectorRanker(const Kernels& table) : table_(table) {}

  // Whether a group of this size is ranked sooner so than by sorting its keys: few of its tile's places stay empty, and
  // it fits the second cache.
  static bool beats_sorting(size_t size) {
    const size_t places = lanes * rows_of(size);
    return places <= 512 || (places <= (size_t(1) << 17) / sizeof(K) && 5 * size >= 3 * places);
  }
  // Whether a few groups of about this size are ranked sooner one by one than in one tile of which they fill a part.
  static bool beats_tiles(size_t count, size_t size) {
    return count < 10 && size >= 256 && 4 * size >= 3 * lanes * rows_of(size);
  }

  // Of the group that the reader has selected; entries that are not live are zeros, which are not counted.
  double rank(Reader& reader, size_t size) {
    const size_t rows = rows_of(size);
    K* const tile = aligned_tile(rows * lanes);
    for (size_t begin = 0; begin < size; begin += chunk_size) {
      const size_t n = std::min(chunk_size, size - begin);
      const Number* const x = reader.template read<Number>(begin, n);
      for (size_t i = 0; i < n; ++i) tile[begin + i] = bits_as<K>(x[i]) & (~K(0) >> 1);
    }
    std::fill(tile + size, tile + rows * lanes, K(0));
    const double live = double(reader.count_live(0, size));
    RankedLanes ranked;
    if constexpr (sizeof(K) == 4) table_.rank_float_vector(tile, rows, live, &ranked);
    if constexpr (sizeof(K) == 8) table_.rank_double_vector(tile, rows, live, &ranked);
    if (!(double(bits_as<Number>(K(ranked.largest[lanes - 1]))) < infinity)) return __builtin_nan("");
    DoubleDouble weighted, sum;
    for (int j = 0; j < lanes; ++j) {
      weighted.add({ranked.ranked_hi[j], ranked.ranked_lo[j]});
      sum.add({ranked.sum_hi[j], ranked.sum_lo[j]});
    }
    return gini_quotient(weighted, sum, live);
  }

 private:
  static size_t rows_of(size_t size) {
    return std::bit_ceil(tile_rows((std::max(size, size_t(1)) + lanes - 1) / lanes));
  }

  // On a cache line's boundary: rows that lie in two lines each take a fifth longer.
  K* aligned_tile(size_t places) {
    constexpr size_t line = 64;
    tile_.resize(places + line / sizeof(K));
    const size_t beyond = reinterpret_cast<uintptr_t>(tile_.data()) % line;
    return tile_.data() + (line - beyond) % line / sizeof(K);
  }

  const Kernels& table_;
  Buffer<K> tile_;
};

}  // namespace pqi::cpu
