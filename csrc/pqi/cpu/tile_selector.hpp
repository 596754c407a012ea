// Top-k of many short groups at once, a lane each: a kernel finds where the rows of their keys are to be cut; comparing
// each with its cut writes the mask.
#pragma once

#include <limits>
#include <type_traits>

#include "../radix_select.hpp"
#include "group_loop.hpp"
#include "mask_writer.hpp"

namespace pqi::cpu {

template <class K>
class TileSelector {
  using Signed = std::conditional_t<sizeof(K) == 8, int64_t, int32_t>;
  using Wide = std::make_unsigned_t<Signed>;
  static constexpr Wide sign = Wide(1) << (sizeof(Wide) * 8 - 1);

 public:
  TileSelector(const Groups& groups, const Kernels& table)
      : groups_(groups),
        table_(table),
        rule_(key_rule<K>(groups.dtype())),
        in_place_(groups.contiguous() && !groups.masked() &&
                  groups.dtype() == (sizeof(K) == 8 ? DType::f64 : DType::f32)) {
    // Keys of floats are signed numbers in their order; others are brought into it where they are copied.
    rows_.mask = in_place_ ? Signed(rule_.mask) : Signed(-1);
    rows_.cap = in_place_ ? Signed(rule_.cap) : Signed(Wide(rule_.cap) ^ sign);
    rows_.lowest = in_place_ ? 0 : Signed(sign);
  }

  // Cuts `count` ≤ lanes groups of at most `width` elements, neighbours unless they are segments, where
  // 1 ≤ k[group] ≤ size; others are left out. Shorter rows are padded with the lowest key, which comes last.
  void find(Reader& reader, const size_t* chosen, size_t count, size_t width, const Wanted& k) {
    const size_t places = tile_rows(width);
    tile_.resize(places * lanes);
    const size_t placed = in_place_ && groups_.offsets() == nullptr ? count : 0;
    if (placed > 0) groups_.locate(chosen[0], placed, rows_.row);
    for (size_t lane = 0; lane < lanes; ++lane) {
      const bool wanted = lane < count && k[chosen[lane]] > 0;
      wanted_[lane] = wanted ? Signed(k[chosen[lane]]) : Signed(places);
      if (lane >= placed) place(reader, lane, lane < count ? chosen[lane] : groups_.count(), width);
    }
    if constexpr (sizeof(K) == 8) {
      table_.cut_rows64(rows_, width, wanted_, tile_.data(), &hint_, &cuts_);
    } else {
      table_.cut_rows32(rows_, width, wanted_, tile_.data(), &hint_, &cuts_);
    }
  }

  // The k-th largest key of a group that was found in this lane.
  K threshold(size_t lane, size_t group) const {
    Signed smallest = std::numeric_limits<Signed>::max();
    for (size_t i = 0, n = groups_.size(group); i < n; ++i) {
      const Signed key = key_at(lane, i);
      smallest = key >= cuts_.low[lane] && key < smallest ? key : smallest;
    }
    return in_place_ ? K(smallest) : K(Wide(smallest) ^ sign);
  }

  // Writes the masks of the groups that were found.
  void write(Reader& reader, MaskWriter& writer, const size_t* chosen, size_t count, const Wanted& k) {
    const void* where[lanes];
    uint8_t* out[lanes] = {};
    size_t size[lanes] = {};
    writer.locate(chosen, count, where);
    for (size_t lane = 0; lane < count; ++lane) {
      size[lane] = groups_.size(chosen[lane]);
      out[lane] = static_cast<uint8_t*>(const_cast<void*>(where[lane]));
      if (where[lane] != nullptr) continue;
      if (buffer_.empty()) buffer_.resize(lanes * chunk_size);
      out[lane] = &buffer_[lane * chunk_size];
    }
    if constexpr (sizeof(K) == 8) table_.mark_rows64(rows_, size, cuts_, out);
    if constexpr (sizeof(K) != 8) table_.mark_rows32(rows_, size, cuts_, out);
    for (size_t lane = 0; lane < count; ++lane) {
      const size_t group = chosen[lane], n = size[lane];
      if (k[group] == 0) std::fill(out[lane], out[lane] + n, uint8_t(0));
      if (k[group] > 0 && groups_.masked()) drop_dead(reader.select(group).live(0, n), n, lane, out[lane]);
      if (where[lane] != nullptr) continue;
      writer.select(group);
      writer.store(0, n, out[lane]);
    }
  }

 private:
  // Puts a group's keys into a lane: where they lie, or copied, in the order of signed numbers. Behind the last group
  // lanes hold the lowest key alone.
  void place(Reader& reader, size_t lane, size_t group, size_t width) {
    const size_t n = group < groups_.count() ? groups_.size(group) : 0;
    if (in_place_ && n == width && n > 0) return groups_.locate(group, 1, &rows_.row[lane]);
    copies_.resize(lanes * width);
    Signed* const row = copies_.data() + lane * width;
    rows_.row[lane] = row;
    std::fill(row + n, row + width, rows_.lowest);
    if (n == 0) return;
    const K* const bits = reader.select(group).template read<K>(0, n);
    if (in_place_) return void(std::memcpy(row, bits, n * sizeof(K)));
    if constexpr (sizeof(K) == 2) table_.order16(bits, n, rule_, row);
    if constexpr (sizeof(K) == 4) table_.order32(bits, n, rule_, row);
    if constexpr (sizeof(K) == 8) table_.order64(bits, n, rule_, row);
    // Neighbours mostly come next.
    for (size_t i = 0; i < n; i += 64 / sizeof(K)) __builtin_prefetch(bits + lanes * width + i);
  }

  Signed key_at(size_t lane, size_t i) const {
    Signed bits;
    std::memcpy(&bits, static_cast<const char*>(rows_.row[lane]) + i * sizeof bits, sizeof bits);
    return std::min(Signed(bits & rows_.mask), rows_.cap);
  }

  // Dead elements are zeros in the row: none of them is above a cut, but they were counted among equal ones.
  void drop_dead(const uint8_t* live, size_t n, size_t lane, uint8_t* out) const {
    if (cuts_.low[lane] != rows_.lowest) {
      for (size_t i = 0; i < n; ++i) out[i] = live[i] ? out[i] : 0;
      return;
    }
    size_t left = size_t(wanted_[lane]);
    for (size_t i = 0; i < n; ++i) left -= key_at(lane, i) != rows_.lowest;
    for (size_t i = 0; i < n; ++i) {
      const bool above = key_at(lane, i) != rows_.lowest, tied = !above && live[i] && left > 0;
      out[i] = above || tied;
      left -= tied;
    }
  }

  const Groups& groups_;
  const Kernels& table_;
  const KeyRule<K> rule_;
  const bool in_place_;
  OrderedRows<Signed> rows_;
  Buffer<Signed> copies_, tile_;
  Buffer<uint8_t> buffer_;
  Signed wanted_[lanes];
  CutHint<Signed> hint_;
  Cuts<Signed> cuts_;
};

}  // namespace pqi::cpu
