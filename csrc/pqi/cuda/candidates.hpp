// The passes of a radix select over the whole device, digit by digit, and of the ties at the end.
#pragma once

#include "../radix_select.hpp"
#include "source.hpp"

namespace pqi::cuda {

inline constexpr uint64_t most_digits = 2048;
inline constexpr uint64_t tie_tile = 16384;  // ties are counted by tiles of this many elements

// A digit of a key: `bits` of it, `shift` from its lower end.
struct Digit {
  int shift, bits, key_bits;

  static Digit top(int key_bits) { return {key_bits - 11, 11, key_bits}; }
  Digit next() const { return {shift > 11 ? shift - 11 : 0, shift > 11 ? 11 : shift, key_bits}; }

  PQI_DEVICE bool first() const { return shift + bits == key_bits; }
  PQI_DEVICE uint64_t of(uint64_t key) const { return key >> shift & ((uint64_t(1) << bits) - 1); }
  PQI_DEVICE uint64_t above(uint64_t key) const { return key >> (shift + bits); }
};

// What may still belong to the top k: what was collected if that fitted (and capacity is set), else all live elements.
// `parts` blocks share a group.
template <class K>
struct Candidates {
  Source source;
  uint64_t parts, capacity;
  K* keys;
  uint64_t* places;
  uint64_t* found;  // how many there are, also if they did not fit

  // Calls f(flat index, key) for this block's share of its group.
  template <class F>
  PQI_DEVICE void for_each(Block& block, F f) const {
    const uint64_t group = block.index() / parts, stride = parts * uint64_t(block.threads());
    uint64_t i = block.index() % parts * uint64_t(block.threads()) + uint64_t(block.thread());
    if (capacity > 0 && found[group] <= capacity) {
      for (const uint64_t base = group * capacity, n = found[group]; i < n; i += stride)
        f(places[base + i], keys[base + i]);
      return;
    }
    Cursor cursor(source, group);
    const auto rule = key_rule<K>(source.dtype);
    for (; i < source.size; i += stride)
      if (cursor.live(i)) f(i, rule(cursor.bits<K>(i)));
  }
};

// Writes the mask of all that the first digit decides, dead elements too, and collects the others.
template <class K>
struct Split {
  static constexpr int threads = 256;
  static constexpr uint64_t step = 1024, room = 2048;  // elements looked at, and collected, between barriers
  static constexpr size_t shared_bytes = 2 * sizeof(uint64_t) + room * (sizeof(uint64_t) + sizeof(K));

  Candidates<K> candidates;
  Source masks;
  bool writes;
  Digit digit;
  const SelectState* states;

  PQI_DEVICE void operator()(Block& block) const {
    const Source& source = candidates.source;
    const uint64_t group = block.index() / candidates.parts, part = block.index() % candidates.parts;
    uint64_t* const count = block.shared<uint64_t>();
    if (block.thread() == 0) *count = 0;
    const SelectState state = states[group];
    Cursor cursor(source, group), mask(masks, group);
    const auto rule = key_rule<K>(source.dtype);
    for (uint64_t begin = part * step; begin < source.size; begin += candidates.parts * step) {
      block.sync();
      for (uint64_t i = begin + uint64_t(block.thread()); i < begin + step && i < source.size; i += threads) {
        bool keep = false;
        if (state.remaining > 0 && cursor.live(i)) {
          const K key = rule(cursor.bits<K>(i));
          const uint64_t mine = digit.of(key), threshold = state.prefix;
          keep = mine > threshold;
          if (mine == threshold) {
            const uint64_t at = block.add(count, uint64_t(1));
            places(block)[at] = i;
            keys(block)[at] = key;
          }
        }
        if (writes) *mask.address(i) = char(keep);
      }
      block.sync();
      if (*count + step > room) flush(block, group);
    }
    block.sync();
    flush(block, group);
  }

 private:
  PQI_DEVICE static uint64_t* places(Block& block) { return block.shared<uint64_t>(2 * sizeof(uint64_t)); }
  PQI_DEVICE static K* keys(Block& block) { return block.shared<K>((2 + room) * sizeof(uint64_t)); }

  // Called by all threads alike, behind a barrier.
  PQI_DEVICE void flush(Block& block, uint64_t group) const {
    uint64_t* const count = block.shared<uint64_t>();
    const uint64_t n = *count;
    block.sync();
    if (block.thread() == 0) {
      count[0] = 0;
      count[1] = block.add(candidates.found + group, n);
    }
    block.sync();
    const uint64_t at = count[1], base = group * candidates.capacity;
    for (uint64_t i = uint64_t(block.thread()); i < n && at + i < candidates.capacity; i += threads) {
      candidates.places[base + at + i] = places(block)[i];
      candidates.keys[base + at + i] = keys(block)[i];
    }
  }
};

// ties[group][1 + tile]: elements that equal the threshold.
template <class K>
struct CountTies {
  static constexpr int threads = 256;

  Candidates<K> candidates;
  const SelectState* states;
  uint64_t stride;
  uint64_t* ties;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index() / candidates.parts;
    const SelectState state = states[group];
    if (state.remaining == 0) return;
    uint64_t tile = 0, count = 0;  // neighbours mostly share a tile
    candidates.for_each(block, [&](uint64_t i, K key) {
      if (key != K(state.prefix)) return;
      if (i / tie_tile != tile && count > 0) {
        block.add(ties + group * stride + 1 + tile, count);
        count = 0;
      }
      tile = i / tie_tile;
      ++count;
    });
    if (count > 0) block.add(ties + group * stride + 1 + tile, count);
  }
};

// Turns the counts into how many ties lie before each tile.
struct ScanTies {
  static constexpr int threads = 256;
  static constexpr size_t shared_bytes = threads * sizeof(uint64_t);

  uint64_t stride;
  uint64_t* ties;

  PQI_DEVICE void operator()(Block& block) const {
    uint64_t* const sums = block.shared<uint64_t>();
    uint64_t* const mine = ties + block.index() * stride;
    const uint64_t share = (stride + threads - 1) / threads, begin = uint64_t(block.thread()) * share;
    const uint64_t end = begin + share < stride ? begin + share : stride;
    uint64_t sum = 0;
    for (uint64_t i = begin; i < end; ++i) sum += mine[i];
    sums[block.thread()] = sum;
    block.sync();
    uint64_t before = 0;
    for (int t = 0; t < block.thread(); ++t) before += sums[t];
    for (uint64_t i = begin; i < end; ++i) mine[i] = before += mine[i];
  }
};

// Writes the mask of all candidates but the ties of the one tile in which the last of them is taken.
template <class K>
struct Decide {
  static constexpr int threads = 256;

  Candidates<K> candidates;
  Source masks;
  const SelectState* states;
  uint64_t stride;
  const uint64_t* ties;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index() / candidates.parts;
    const SelectState state = states[group];
    if (state.remaining == 0) return;
    Cursor mask(masks, group);
    const uint64_t* const before = ties + group * stride;
    candidates.for_each(block, [&](uint64_t i, K key) {
      const uint64_t tile = i / tie_tile;
      const bool tied = key == K(state.prefix);
      if (tied && before[tile] < state.remaining && state.remaining < before[tile + 1]) return;
      *mask.address(i) = char(tied ? before[tile] < state.remaining : key > K(state.prefix));
    });
  }
};

// Writes the ties of that tile in order: the first ones belong to the top k. One block a group.
template <class K>
struct CutTile {
  static constexpr int threads = 256;
  static constexpr size_t shared_bytes = (threads / warp_size) * sizeof(uint64_t);

  Source source, masks;
  const SelectState* states;
  uint64_t stride;
  const uint64_t* ties;

  PQI_DEVICE void operator()(Block& block) const {
    const uint64_t group = block.index();
    const SelectState state = states[group];
    const uint64_t* const before = ties + group * stride;
    if (state.remaining == 0 || before[stride - 1] == state.remaining) return;
    uint64_t low = 0, high = stride - 1;  // before[low] < remaining <= before[high]
    while (low + 1 < high) {
      const uint64_t middle = low + (high - low) / 2;
      (before[middle] < state.remaining ? low : high) = middle;
    }
    if (before[low + 1] == state.remaining) return;
    write(block, group, low * tie_tile, state.remaining - before[low], K(state.prefix));
  }

 private:
  PQI_DEVICE void write(Block& block, uint64_t group, uint64_t begin, uint64_t left, K threshold) const {
    uint64_t* const of_warp = block.shared<uint64_t>();
    Cursor cursor(source, group), mask(masks, group);
    const auto rule = key_rule<K>(source.dtype);
    const uint64_t end = source.size - begin < tie_tile ? source.size : begin + tie_tile;
    for (uint64_t first = begin; first < end; first += threads) {
      const uint64_t i = first + uint64_t(block.thread());
      const bool tied = i < end && cursor.live(i) && rule(cursor.bits<K>(i)) == threshold;
      const uint32_t who = block.ballot(tied);
      if (block.lane() == 0) of_warp[block.warp()] = uint64_t(count_ones(who));
      block.sync();
      uint64_t rank = uint64_t(count_ones(who & ((1u << block.lane()) - 1))), all = 0;
      for (int w = 0; w < threads / warp_size; ++w) {
        if (w < block.warp()) rank += of_warp[w];
        all += of_warp[w];
      }
      if (tied) *mask.address(i) = char(rank < left);
      left = left > all ? left - all : 0;
      block.sync();
    }
  }
};

}  // namespace pqi::cuda
