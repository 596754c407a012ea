// Top-k of many short groups at once, a lane each: their keys are sorted as columns of a tile, which gives every
// threshold; one comparison with it then writes the mask.
#pragma once

#include <type_traits>

#include "../radix_select.hpp"
#include "group_loop.hpp"
#include "mask_writer.hpp"

namespace pqi::cpu {

template <class K>
class TileSelector {
  using Wide = std::conditional_t<sizeof(K) == 8, uint64_t, uint32_t>;

 public:
  TileSelector(const Groups& groups, const Kernels& table)
      : groups_(groups), table_(table), rule_(key_rule<K>(groups.dtype())) {}

  // Thresholds of `count` ≤ lanes groups of at most `width` elements, where 1 ≤ k[group] ≤ size; others are left out.
  // Shorter columns are padded with zeros, which sort first.
  void find(Reader& reader, const size_t* chosen, size_t count, size_t width, const uint64_t* k) {
    width_ = width;
    tile_.assign(tile_rows(width) * lanes, Wide(0));
    for (size_t lane = 0; lane < count; ++lane) {
      if (k[chosen[lane]] == 0) continue;
      const size_t n = groups_.size(chosen[lane]);
      const K* bits = reader.select(chosen[lane]).template read<K>(0, n);
      Wide* const column = tile_.data() + lane;
      for (size_t i = 0; i < n; ++i) column[i * lanes] = rule_(bits[i]);
    }
    if constexpr (sizeof(K) == 8) {
      table_.sort_columns64(tile_.data(), width);
    } else {
      table_.sort_columns32(tile_.data(), width);
    }
    for (size_t lane = 0; lane < count; ++lane) {
      if (k[chosen[lane]] > 0) selections_[lane] = selection(lane, k[chosen[lane]]);
    }
  }

  const Selection& found(size_t lane) const { return selections_[lane]; }

  // Writes one group's mask from its selection.
  void write(Reader& reader, const MaskWriter& writer, size_t group, const Selection& selection) {
    const size_t n = groups_.size(group);
    const K* bits = reader.select(group).template read<K>(0, n);
    uint8_t* const direct = writer.direct(0, n);
    uint8_t* const out = direct != nullptr ? direct : buffer_;
    const K threshold = K(selection.threshold);
    uint64_t ties = 0;
    classify(bits, n, threshold, out, &ties);
    if (const uint8_t* live = reader.live(0, n))
      for (size_t i = 0; i < n; ++i) out[i] = live[i] ? out[i] : 0;
    table_.settle_ties(out, n, selection.ties);
    if (direct == nullptr) writer.store(0, n, out);
  }

 private:
  void classify(const K* bits, size_t n, K threshold, uint8_t* out, uint64_t* ties) const {
    if constexpr (sizeof(K) == 2) table_.classify16(bits, n, rule_, threshold, threshold, out, ties);
    if constexpr (sizeof(K) == 4) table_.classify32(bits, n, rule_, threshold, threshold, out, ties);
    if constexpr (sizeof(K) == 8) table_.classify64(bits, n, rule_, threshold, threshold, out, ties);
  }

  // The k-th largest of a sorted column, and how many of those equal to it belong to the top k.
  Selection selection(size_t lane, uint64_t k) const {
    const auto at = [&](size_t i) { return tile_[i * lanes + lane]; };
    size_t first = width_ - k, last = width_;  // the first key above the threshold lies in (first, last]
    const Wide threshold = at(first);
    while (first + 1 < last) {
      const size_t middle = first + (last - first) / 2;
      (at(middle) > threshold ? last : first) = middle;
    }
    return {threshold, k - (width_ - last)};
  }

  const Groups& groups_;
  const Kernels& table_;
  const KeyRule<K> rule_;
  size_t width_ = 0;
  Buffer<Wide> tile_;
  Selection selections_[lanes];
  uint8_t buffer_[chunk_size];
};

}  // namespace pqi::cpu
