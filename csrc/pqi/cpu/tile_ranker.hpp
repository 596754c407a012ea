// The Gini index of many short groups at once.
#pragma once

#include <algorithm>

#include "../gini.hpp"
#include "group_loop.hpp"
#include "isa.hpp"

namespace pqi::cpu {

// Short groups, a lane each: read into the columns of a tile, sorted by a network there, summed in double-double.
template <class Number, class K>
class TileRanker {
 public:
  TileRanker(const Groups& groups, const Kernels& table)
      : groups_(groups), table_(table), tile_(groups.size() * lanes) {}

  // Groups [begin, begin + count), count ≤ lanes.
  void rank(Reader& reader, size_t begin, size_t count, double* out) {
    const size_t width = groups_.size();
    if (count < size_t(lanes)) std::fill(tile_.begin(), tile_.end(), K(0));
    double live[lanes] = {};
    for (size_t lane = 0; lane < count; ++lane) {
      reader.select(begin + lane);
      live[lane] = double(reader.count_live(0, width));
      load(reader.template read<Number>(0, width), lane);
    }
    RankedLanes ranked;
    if constexpr (sizeof(K) == 4) table_.rank_floats(tile_.data(), width, live, &ranked);
    if constexpr (sizeof(K) == 8) table_.rank_doubles(tile_.data(), width, live, &ranked);
    for (size_t lane = 0; lane < count; ++lane) {
      const bool finite = double(bits_as<Number>(K(ranked.largest[lane]))) < infinity;
      out[begin + lane] = finite ? gini_quotient({ranked.ranked_hi[lane], ranked.ranked_lo[lane]},
                                                 {ranked.sum_hi[lane], ranked.sum_lo[lane]}, live[lane])
                                 : __builtin_nan("");
    }
  }

 private:
  void load(const Number* x, size_t lane) {
    constexpr K magnitude = ~K(0) >> 1;
    K* const tile = tile_.data() + lane;
    for (size_t i = 0; i < groups_.size(); ++i) tile[i * lanes] = bits_as<K>(x[i]) & magnitude;
  }

  const Groups& groups_;
  const Kernels& table_;
  std::vector<K> tile_;
};

template <class Number, class K>
void rank_groups(const Groups& groups, double* out) {
  const Kernels& table = kernels();
  for_each_group(groups, table, [&](size_t begin, size_t end, Reader& reader) {
    TileRanker<Number, K> ranker(groups, table);
    for (; begin < end; begin += lanes) ranker.rank(reader, begin, std::min(end - begin, size_t(lanes)), out);
  });
}

}  // namespace pqi::cpu
