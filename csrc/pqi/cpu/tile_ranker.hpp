// The Gini index of many short groups at once.
#pragma once

#include "../gini.hpp"
#include "group_loop.hpp"
#include "isa.hpp"

namespace pqi::cpu {

// Short groups, a lane each: read into the columns of a tile, sorted by a network there, summed in double-double.
template <class Number, class K>
class TileRanker {
 public:
  TileRanker(const Groups& groups, const Kernels& table) : groups_(groups), table_(table) {}

  // `count` ≤ lanes groups of at most `width` elements; shorter ones are padded with zeros, which are not counted.
  void rank(Reader& reader, const size_t* chosen, size_t count, size_t width, double* out) {
    tile_.assign(tile_rows(width) * lanes, K(0));
    double live[lanes] = {};
    for (size_t lane = 0; lane < count; ++lane) {
      const size_t size = groups_.size(chosen[lane]);
      reader.select(chosen[lane]);
      live[lane] = double(reader.count_live(0, size));
      load(reader.template read<Number>(0, size), size, lane);
    }
    RankedLanes ranked;
    if constexpr (sizeof(K) == 4) table_.rank_floats(tile_.data(), width, live, &ranked);
    if constexpr (sizeof(K) == 8) table_.rank_doubles(tile_.data(), width, live, &ranked);
    for (size_t lane = 0; lane < count; ++lane) {
      const bool finite = double(bits_as<Number>(K(ranked.largest[lane]))) < infinity;
      out[chosen[lane]] = finite ? gini_quotient({ranked.ranked_hi[lane], ranked.ranked_lo[lane]},
                                                 {ranked.sum_hi[lane], ranked.sum_lo[lane]}, live[lane])
                                 : __builtin_nan("");
    }
  }

 private:
  void load(const Number* x, size_t n, size_t lane) {
    constexpr K magnitude = ~K(0) >> 1;
    K* const tile = tile_.data() + lane;
    for (size_t i = 0; i < n; ++i) tile[i * lanes] = bits_as<K>(x[i]) & magnitude;
  }

  const Groups& groups_;
  const Kernels& table_;
  Buffer<K> tile_;
};

}  // namespace pqi::cpu
