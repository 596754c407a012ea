// Top-k of many short groups at once, a lane each: their keys, as signed numbers, become the rows of a tile, of which a
// kernel finds where each is to be cut; one comparison with that writes the mask.
#pragma once

#include <limits>
#include <type_traits>

#include "group_loop.hpp"
#include "mask_writer.hpp"

namespace pqi::cpu {

template <class K>
class TileSelector {
  using Signed = std::conditional_t<sizeof(K) == 8, int64_t, int32_t>;
  using Wide = std::make_unsigned_t<Signed>;
  static constexpr Wide sign = Wide(1) << (sizeof(Wide) * 8 - 1);
  static constexpr Signed lowest = Signed(sign);

 public:
  TileSelector(const Groups& groups, const Kernels& table)
      : groups_(groups), table_(table), rule_(key_rule<K>(groups.dtype())) {}

  // Cuts `count` ≤ lanes groups of at most `widest` elements, where 1 ≤ k[group] ≤ size; others are left out. Shorter
  // rows are padded with zeros, which come last.
  void find(Reader& reader, const size_t* chosen, size_t count, size_t widest, const uint64_t* k) {
    const size_t width = (widest + 3) / 4 * 4;
    stride_ = width + 64 / sizeof(Signed);  // another cache set for each row
    rows_.resize(stride_ * lanes, lowest);
    tile_.resize(width * lanes);
    std::fill(wanted_, wanted_ + lanes, Signed(width));
    for (size_t lane = 0; lane < count; ++lane) {
      const size_t group = chosen[lane], n = groups_.size(group);
      if (k[group] == 0) continue;
      wanted_[lane] = Signed(k[group]);
      const K* bits = reader.select(group).template read<K>(0, n);
      Signed* const row = rows_.data() + lane * stride_;
      order(bits, n, row);
      std::fill(row + n, row + width, lowest);
      // Neighbours mostly come next; the search in between leaves memory idle.
      for (size_t i = 0; i < n; i += 64 / sizeof(K)) __builtin_prefetch(bits + lanes * width + i);
    }
    cut(width);
  }

  // The k-th largest key of a group that was found in this lane.
  K threshold(size_t lane, size_t group) const {
    const Signed* const row = rows_.data() + lane * stride_;
    Signed smallest = std::numeric_limits<Signed>::max();
    for (size_t i = 0, n = groups_.size(group); i < n; ++i)
      smallest = row[i] >= cuts_.low[lane] && row[i] < smallest ? row[i] : smallest;
    return K(Wide(smallest) ^ sign);
  }

  // Writes the mask of a group that was found in this lane.
  void write(Reader& reader, const MaskWriter& writer, size_t lane, size_t group) {
    const size_t n = groups_.size(group);
    const Signed* const row = rows_.data() + lane * stride_;
    uint8_t* const direct = writer.direct(0, n);
    uint8_t* const out = direct != nullptr ? direct : buffer_;
    mark(row, n, cuts_.low[lane], std::min(size_t(cuts_.end[lane]), n), out);
    if (const uint8_t* live = reader.select(group).live(0, n)) drop_dead(row, live, n, lane, out);
    if (direct == nullptr) writer.store(0, n, out);
  }

 private:
  // Dead elements are zeros in the row: none of them is above a cut, but they were counted among equal ones.
  void drop_dead(const Signed* row, const uint8_t* live, size_t n, size_t lane, uint8_t* out) const {
    if (cuts_.low[lane] != lowest) {
      for (size_t i = 0; i < n; ++i) out[i] = live[i] ? out[i] : 0;
      return;
    }
    size_t left = size_t(wanted_[lane]);
    for (size_t i = 0; i < n; ++i) left -= row[i] != lowest;
    for (size_t i = 0; i < n; ++i) {
      const bool tied = row[i] == lowest && live[i] && left > 0;
      out[i] = row[i] != lowest || tied;
      left -= tied;
    }
  }

  void order(const K* bits, size_t n, Signed* row) const {
    if constexpr (sizeof(K) == 2) table_.order16(bits, n, rule_, row);
    if constexpr (sizeof(K) == 4) table_.order32(bits, n, rule_, row);
    if constexpr (sizeof(K) == 8) table_.order64(bits, n, rule_, row);
  }

  void cut(size_t width) {
    const Signed cap = Signed(Wide(rule_.cap) ^ sign);
    if constexpr (sizeof(K) == 8) {
      table_.cut_rows64(rows_.data(), stride_, width, wanted_, cap, tile_.data(), &hint_, &cuts_);
    } else {
      table_.cut_rows32(rows_.data(), stride_, width, wanted_, cap, tile_.data(), &hint_, &cuts_);
    }
  }

  void mark(const Signed* row, size_t n, Signed cut, size_t end, uint8_t* out) const {
    if constexpr (sizeof(K) == 8) {
      table_.mark64(row, n, cut, end, out);
    } else {
      table_.mark32(row, n, cut, end, out);
    }
  }

  const Groups& groups_;
  const Kernels& table_;
  const KeyRule<K> rule_;
  size_t stride_ = 0;
  Buffer<Signed> rows_, tile_;
  Signed wanted_[lanes];
  CutHint<Signed> hint_;
  Cuts<Signed> cuts_;
  uint8_t buffer_[chunk_size];
};

}  // namespace pqi::cpu
