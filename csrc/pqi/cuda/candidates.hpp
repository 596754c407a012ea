// What may belong to the top k, as the passes of a radix select see it: first all live elements, then those that share
// the threshold's first digit.
#pragma once

#include "../radix_select.hpp"
#include "key_reader.hpp"

namespace pqi::cuda {

inline constexpr int digit_bits = 12;
inline constexpr uint64_t most_digits = uint64_t(1) << digit_bits;

// A digit of a key: `bits` of it, `shift` from its lower end.
struct Digit {
  int shift, bits, key_bits;

  static Digit top(int key_bits) { return {key_bits - digit_bits, digit_bits, key_bits}; }
  Digit next() const {
    return {shift > digit_bits ? shift - digit_bits : 0, shift > digit_bits ? digit_bits : shift, key_bits};
  }

  PQI_DEVICE bool first() const { return shift + bits == key_bits; }
  PQI_DEVICE uint64_t of(uint64_t key) const { return key >> shift & ((uint64_t(1) << bits) - 1); }
  PQI_DEVICE uint64_t above(uint64_t key) const { return key >> (shift + bits); }
};

// The mask of a group, written for neighbouring elements at a time.
class MaskWriter {
 public:
  PQI_DEVICE MaskWriter(const Source& masks, uint64_t group) : size_(masks.size_of(group)), cursor_(masks, group) {}

  // Bit j of `keep` is for element i + j; those that there are of `n`, which is a multiple of 4.
  PQI_DEVICE void write(uint64_t i, uint32_t n, uint32_t keep) {
    const uint64_t rest = i < size_ ? size_ - i : 0;
    char* const at = rest >= n ? cursor_.together(DType::boolean, i, n) : nullptr;
    if (at != nullptr && reinterpret_cast<uintptr_t>(at) % 4 == 0) {
      for (uint32_t j = 0; j < n; j += 4)
        *reinterpret_cast<uint32_t*>(at + j) = (keep >> j & 15) * 0x00204081u & 0x01010101u;
    } else {
      for (uint32_t j = 0; j < n && j < rest; ++j) write(i + j, (keep >> j & 1) != 0);
    }
  }
  PQI_DEVICE void write(uint64_t i, bool keep) { *cursor_.address(i) = char(keep); }

 private:
  const uint64_t size_;
  Cursor cursor_;
};

// Groups [first, first + …): what was collected of each if that fitted (and capacity is set), else all live elements.
// `parts` blocks share a group. A warp takes a stretch of neighbouring elements at a time.
template <class K>
struct Candidates {
  static constexpr int threads = 256, warps = threads / warp_size;
  static constexpr int at_once = KeyReader<K>::at_once;
  static constexpr uint64_t stretch = warp_size * at_once;

  Source source;
  uint64_t first, parts, capacity;
  SelectState* states;
  K* keys;
  uint64_t* places;
  uint64_t* found;  // how many there are, also if they did not fit

  PQI_DEVICE uint64_t group(Block& block) const { return block.index() / parts; }
  PQI_DEVICE SelectState state(Block& block) const { return states[group(block)]; }
  PQI_DEVICE bool collected(Block& block) const { return capacity > 0 && found[group(block)] <= capacity; }

  // Calls f(index, key) for this thread's share of what was collected.
  template <class F>
  PQI_DEVICE void for_each_collected(Block& block, F f) const {
    const uint64_t base = group(block) * capacity, n = found[group(block)];
    for (uint64_t i = block.index() % parts * threads + uint64_t(block.thread()); i < n; i += parts * threads)
      f(places[base + i], keys[base + i]);
  }

  // Calls f(index of the first, keys, live bits) for this thread's share of all elements; warps together.
  template <class F>
  PQI_DEVICE void for_each_stretch(Block& block, F f) const {
    KeyReader<K> reader(source, first + group(block));
    const uint64_t begin = (block.index() % parts * warps + uint64_t(block.warp())) * stretch;
    for (uint64_t i = begin; i < source.size; i += parts * warps * stretch) {
      K read[at_once];
      const uint64_t mine = i + uint64_t(block.lane() * at_once);
      const uint32_t live = reader.read(mine, read);
      f(mine, read, live);
    }
  }

  // Calls f(key) for this thread's share.
  template <class F>
  PQI_DEVICE void for_each_key(Block& block, F f) const {
    if (collected(block)) return for_each_collected(block, [&](uint64_t, K key) { f(key); });
    for_each_stretch(block, [&](uint64_t, const K(&read)[at_once], uint32_t live) {
      PQI_UNROLL for (int j = 0; j < at_once; ++j) if (live >> j & 1) f(read[j]);
    });
  }
};

// counts[group][digit] of the candidates whose upper digits are those found.
template <class K>
struct CountDigits {
  static constexpr int threads = Candidates<K>::threads;

  Candidates<K> candidates;
  Digit digit;
  uint64_t* counts;

  PQI_DEVICE void operator()(Block& block) const {
    uint32_t* const mine = block.shared<uint32_t>();
    const int digits = 1 << digit.bits;
    for (int i = block.thread(); i < digits; i += threads) mine[i] = 0;
    block.sync();
    const SelectState state = candidates.state(block);
    if (state.remaining > 0) {
      Tally tally(mine, uint32_t(digits));
      candidates.for_each_key(block, [&](K key) {
        if (digit.first() || digit.above(key) == state.prefix) tally.add(block, uint32_t(digit.of(key)));
      });
      tally.flush(block);
    }
    block.sync();
    uint64_t* const all = counts + candidates.group(block) * most_digits;
    for (int i = block.thread(); i < digits; i += threads)
      if (mine[i] != 0) block.add(all + i, uint64_t(mine[i]));
  }
};

// Writes the mask of all that the first digit decides, dead elements too, and collects the others, a warp on its own.
template <class K>
struct Split {
  static constexpr int threads = Candidates<K>::threads;
  static constexpr uint32_t room = 256;  // of a warp
  static constexpr size_t keys_at = Candidates<K>::warps * room * sizeof(uint64_t);
  static constexpr size_t shared_bytes = keys_at + Candidates<K>::warps * room * sizeof(K);

  Candidates<K> candidates;
  Source masks;
  bool writes;
  Digit digit;

  PQI_DEVICE void operator()(Block& block) const {
    const SelectState state = candidates.state(block);
    if (state.remaining == 0 && !writes) return;
    MaskWriter mask(masks, candidates.first + candidates.group(block));
    const auto threshold = uint64_t(state.prefix);
    uint32_t count = 0;
    constexpr int at_once = Candidates<K>::at_once;
    candidates.for_each_stretch(block, [&](uint64_t i, const K(&read)[at_once], uint32_t live) {
      if (state.remaining == 0) live = 0;
      uint32_t keep = 0;
      PQI_UNROLL for (int j = 0; j < at_once; ++j) {
        const bool alive = live >> j & 1;
        const uint64_t mine = digit.of(read[j]);
        keep |= uint32_t(alive && mine > threshold) << j;
        collect(block, alive && mine == threshold, i + uint64_t(j), read[j], count);
      }
      if (writes) mask.write(i, at_once, keep);
    });
    flush(block, count);
  }

 private:
  PQI_DEVICE static uint64_t* places(Block& block) { return block.shared<uint64_t>() + uint32_t(block.warp()) * room; }
  PQI_DEVICE static K* keys(Block& block) { return block.shared<K>(keys_at) + uint32_t(block.warp()) * room; }

  PQI_DEVICE void collect(Block& block, bool mine, uint64_t place, K key, uint32_t& count) const {
    const uint32_t who = block.ballot(mine);
    if (who == 0) return;
    if (mine) {
      const uint32_t at = count + uint32_t(count_ones(who & ((1u << block.lane()) - 1)));
      places(block)[at] = place;
      keys(block)[at] = key;
    }
    count += uint32_t(count_ones(who));
    if (count + warp_size > room) flush(block, count);
  }

  PQI_DEVICE void flush(Block& block, uint32_t& count) const {
    block.sync_lanes();
    const uint64_t group = candidates.group(block), base = group * candidates.capacity;
    uint64_t at = 0;
    if (block.lane() == 0 && count > 0) at = block.add(candidates.found + group, uint64_t(count));
    at = block.broadcast(at, 0);
    for (uint32_t i = uint32_t(block.lane()); i < count && at + i < candidates.capacity; i += warp_size) {
      candidates.places[base + at + i] = places(block)[i];
      candidates.keys[base + at + i] = keys(block)[i];
    }
    block.sync_lanes();
    count = 0;
  }
};

}  // namespace pqi::cuda
