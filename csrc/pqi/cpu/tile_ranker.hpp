// The Gini index of many short groups at once.
#pragma once

#include <algorithm>

#include "group_loop.hpp"
#include "isa.hpp"

namespace pqi::cpu {

// Short groups, a lane each: sorted by a network in the columns of a tile, summed in double-double.
template <class Number, class K>
class TileRanker {
 public:
  TileRanker(const Groups& groups, const Kernels& table)
      : groups_(groups),
        table_(table),
        in_place_(groups.contiguous() && !groups.masked() &&
                  groups.dtype() == (sizeof(Number) == 4 ? DType::f32 : DType::f64)) {}

  // `count` ≤ lanes groups of at most `width` elements, neighbours unless they are segments; shorter ones are padded
  // with zeros, which are not counted.
  void rank(Reader& reader, const size_t* chosen, size_t count, size_t width, double* out) {
    tile_.resize(std::max(tile_.size(), tile_rows(width) * lanes));
    const void* rows[lanes];
    double live[lanes] = {}, gini[lanes];
    const bool neighbours = in_place_ && groups_.offsets() == nullptr;
    if (neighbours) groups_.locate(chosen[0], count, rows);
    for (size_t lane = 0; lane < lanes; ++lane) {
      const size_t size = lane < count ? groups_.size(chosen[lane]) : 0;
      if (in_place_ && lane < count && size == width) {
        if (!neighbours) groups_.locate(chosen[lane], 1, &rows[lane]);
        live[lane] = double(size);
        continue;
      }
      rows[lane] = padded_row(lane, width);
      if (size > 0) live[lane] = load(reader.select(chosen[lane]), size, lane * width);
      std::fill(rows_.begin() + lane * width + size, rows_.begin() + (lane + 1) * width, Number(0));
    }
    if constexpr (sizeof(K) == 4) table_.rank_float_rows(rows, width, live, tile_.data(), gini);
    if constexpr (sizeof(K) == 8) table_.rank_double_rows(rows, width, live, tile_.data(), gini);
    for (size_t lane = 0; lane < count; ++lane) out[chosen[lane]] = gini[lane];
  }

 private:
  Number* padded_row(size_t lane, size_t width) {
    rows_.resize(std::max(rows_.size(), width * lanes));
    return rows_.data() + lane * width;
  }

  // Returns how many of the elements are live.
  double load(Reader& reader, size_t size, size_t at) {
    const Number* const x = reader.template read<Number>(0, size);
    std::copy(x, x + size, rows_.begin() + at);
    return double(reader.count_live(0, size));
  }

  const Groups& groups_;
  const Kernels& table_;
  const bool in_place_;  // whether the kernel can read them where they lie
  Buffer<K> tile_;
  Buffer<Number> rows_;
};

}  // namespace pqi::cpu
